"""Latencies of the viewer: from a click's request to the changed part of the mask, over HTTP, on a large cine.

Weights are random, since latency does not depend on them; the mask does, so in its place comes a ball of a fixed share of
the crop: an object of usual size. Numbers depend on the machine and its load, so they are a report, never a test.
"""

from __future__ import annotations

import csv
import io
import os
import platform
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from uscl_med3d.core.io import write_text
from uscl_med3d.core.params.ingest import Ingest
from uscl_med3d.core.params.prompts import Prompts
from uscl_med3d.methods.sam_med3d import SamMed3DMethod
from uscl_med3d.nets.sam_med3d import SamMed3D, SamMed3DConfig
from uscl_med3d.nets.sam_med3d.config import PRESETS
from uscl_med3d.user.defaults import read_params
from uscl_med3d.user.models import Choice
from uscl_med3d.user.segmenter import Segmenter
from uscl_med3d.view.desk import Desk
from uscl_med3d.view.items import one_file
from uscl_med3d.view.server import bind, make_page_app, running, use_all_cores

ROWS, COLUMNS = 480, 640
CLICKED, OPENED = 200, 341
"""Frames of the cine that is clicked in (61 MB), and of the one whose opening is timed (105 MB)."""
RADIUS = 0.3
"""Of the ball, as a share of the crop's side."""
CHROMIUM_FLAGS = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox"]


@dataclass(frozen=True)
class Row:
    """Wall and CPU seconds of one step, and what is asked of the wall seconds."""

    model: str
    step: str
    wall_s: list[float]
    cpu_s: list[float]
    asked_s: float | None


class BallMask:
    """A network whose work is done and whose mask is thrown away: see the module."""

    def __init__(self, method: SamMed3DMethod) -> None:
        self._method = method

    def embed(self, crops: torch.Tensor) -> torch.Tensor:
        """As the network."""
        return self._method.embed(crops)

    def start(self, embedding: torch.Tensor) -> Any:
        """As the network."""
        return self._method.start(embedding)

    def click(self, state: Any, points: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The network's work; logits of a ball around the first click, which later clicks make larger."""
        logits = self._method.click(state, points, labels)
        side = logits.shape[-1]
        grid = torch.stack(torch.meshgrid(*[torch.arange(side)] * 3, indexing="ij"), -1).float()
        distance = (grid - points[0, 0]).norm(dim=-1)
        return ((RADIUS + 0.01 * points.shape[1]) * side - distance)[None, None]


def main(out: Path, params_file: Path, repeats: int, browser: bool) -> Path:
    """Measure, and write `viewer.csv` and `viewer.md` to a folder.

    Args:
        params_file: whose `model`, `prompts` and `ingest` are used.
        browser: also in Chromium, where it and playwright are installed.
    """
    use_all_cores()
    values, load = read_params(params_file), os.getloadavg()[0]
    ingest, prompts = Ingest.model_validate(values["ingest"]), Prompts.model_validate(values["prompts"])
    models = {
        "default model": SamMed3DConfig(**values["model"]),
        "ViT-B 128³": PRESETS["vit_b_ori"],
    }
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_cine(folder / "clip.dcm", CLICKED)
        write_cine(folder / "long.dcm", OPENED)
        for name, config in models.items():
            segmenter = make_segmenter(config, ingest, prompts)
            if not rows:
                rows.append(time_opening(segmenter, folder / "long.dcm", repeats))
            rows += time_clicks(name, segmenter, folder / "clip.dcm", repeats)
            if name == "default model":
                memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
                rows += time_browser(name, segmenter, folder / "clip.dcm") if browser else []
    write_text(out / "viewer.csv", to_csv(rows))
    write_text(out / "viewer.md", describe(rows, memory, load))
    return out / "viewer.md"


def make_segmenter(config: SamMed3DConfig, ingest: Ingest, prompts: Prompts) -> Segmenter:
    """A segmenter of a network with fresh weights."""
    torch.manual_seed(0)
    method = SamMed3DMethod(SamMed3D(config), prompts, torch.device("cpu"))
    job = SimpleNamespace(
        classes={}, model=SimpleNamespace(image_size=config.image_size), device="cpu",
        evaluate=SimpleNamespace(sliding_overlap=0.5), run=SimpleNamespace(method="sam_med3d"),
    )  # fmt: skip
    return Segmenter(Choice("bench", job, ingest, Path("bench"), None, None, None, None), BallMask(method))


def write_cine(path: Path, frames: int) -> None:
    """Moving speckle in a fan as an uncompressed ultrasound multi-frame DICOM file."""
    import pydicom
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage, generate_uid

    y, x = np.indices((ROWS, COLUMNS))
    fan = (np.hypot(x - COLUMNS / 2, y + 100) < 560) & (np.abs(x - COLUMNS / 2) < 0.6 * (y + 100))
    texture = np.random.default_rng(0).integers(20, 200, (ROWS + frames, COLUMNS)).astype(np.uint8)
    pixels = np.stack([np.where(fan, texture[frame : frame + ROWS], 0) for frame in range(frames)])
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = UltrasoundMultiFrameImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid(
        entropy_srcs=[path.name]
    )
    dataset.Modality, dataset.PhotometricInterpretation, dataset.SamplesPerPixel = "US", "MONOCHROME2", 1
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = pixels.tobytes() + b"\0" * (pixels.size % 2)
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)


def time_opening(segmenter: Segmenter, file: Path, repeats: int) -> Row:
    """From the command to a page that can ask for the picture, the model loaded."""

    def open_file() -> None:
        make_desk(segmenter, file)

    return measure(
        "default model", f"open a cine of {file.stat().st_size / 1e6:.0f} MB", [open_file] * repeats, 3.0
    )


def make_desk(segmenter: Segmenter, file: Path) -> Desk:
    """A desk with one input and no session of before."""
    folder = Path(tempfile.mkdtemp(dir=file.parent))
    items = one_file(file, folder / "mask.nii.gz", None, None, None)
    return Desk(items, segmenter, [], lambda _: segmenter, False)


def time_clicks(name: str, segmenter: Segmenter, file: Path, repeats: int) -> list[Row]:
    """Steps over HTTP, each several times, in places of their own."""
    import httpx

    asked = (0.3, 0.15) if name == "default model" else (None, 0.3)
    places = [(COLUMNS / 2 + 9 * (n % 5 - 2), 260 + 7 * (n % 3), 60 + 8 * n) for n in range(repeats)]
    with ExitStack() as stack:
        listener = bind("127.0.0.1", 0)
        app, key = make_page_app(make_desk(segmenter, file), listener, "127.0.0.1", None)
        stack.enter_context(running(app, listener))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/api/"
        http = stack.enter_context(
            httpx.Client(base_url=address, headers={"authorization": f"Bearer {key}"}, timeout=600)
        )

        def send(path: str, content: Any = None) -> Callable[[], None]:
            def go() -> None:
                answer = http.post(path, json=content or {})
                answer.raise_for_status()

            return go

        def clicks(by: float, label: int) -> list[Callable[[], None]]:
            return [
                send("click", {"name": f"object {n}", "numbers": [x + by, y + by, z, label]})
                for n, (x, y, z) in enumerate(places)
            ]

        clicks(0, 1)[0]()  # the libraries' own first use
        send("undo")()
        first = measure(name, "first click of an object", clicks(0, 1), asked[0])
        further = measure(name, "further click", [*clicks(14, 1), *clicks(-14, 0)], asked[1])
        undo = measure(name, "undo", [send("undo")] * repeats, None)
        redo = measure(name, "redo", [send("redo")] * repeats, None)
        others = [send("click", {"name": f"other {n}", "numbers": [*at, 1]}) for n, at in enumerate(places)]
        again = measure(name, "first click in the crop of another object", others, None)
        return [first, further, undo, redo, again]


def time_browser(name: str, segmenter: Segmenter, file: Path) -> list[Row]:
    """Clicks in the page, as it measures them itself: from the click to the call that draws."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        program = None
    if program is None:
        print("no Chromium or no playwright: the browser is left out")
        return []
    with ExitStack() as stack:
        listener = bind("127.0.0.1", 0)
        app, key = make_page_app(make_desk(segmenter, file), listener, "127.0.0.1", None)
        stack.enter_context(running(app, listener))
        tool = stack.enter_context(sync_playwright())
        chromium = tool.chromium.launch(executable_path=program, args=CHROMIUM_FLAGS)
        page = chromium.new_page(viewport={"width": 1100, "height": 760})
        page.set_default_timeout(240_000)
        page.goto(f"http://127.0.0.1:{listener.getsockname()[1]}/#key={key}")
        page.wait_for_selector("body[data-ready]")
        stage = page.locator("#stage").bounding_box()
        assert stage is not None  # it is always drawn
        seconds = []
        for part in (0.5, 0.52, 0.48, 0.51, 0.49):
            page.mouse.click(stage["x"] + stage["width"] * part, stage["y"] + stage["height"] * (part + 0.05))
            page.wait_for_selector("#busy", state="visible")
            page.wait_for_selector("#busy", state="hidden")
            seconds.append(float(page.locator("#said").inner_text().split()[0]) / 1000)
        chromium.close()
    label = "in Chromium with software drawing"
    return [
        Row(name, f"first click {label}", seconds[:1], [], None),
        Row(name, f"further click {label}", seconds[1:], [], None),
    ]


def measure(model: str, step: str, work: Sequence[Callable[[], None]], asked_s: float | None) -> Row:
    """Wall and CPU seconds of each call."""
    wall, cpu = [], []
    for call in work:
        started, used = time.perf_counter(), time.process_time()
        call()
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - used)
    return Row(model, step, wall, cpu, asked_s)


def to_csv(rows: Sequence[Row]) -> str:
    """A line per step."""
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(
        [
            "model",
            "step",
            "runs",
            "wall_s_median",
            "wall_s_least",
            "wall_s_largest",
            "cpu_s_median",
            "asked_s",
        ]
    )
    for row in rows:
        cpu = f"{statistics.median(row.cpu_s):.3f}" if row.cpu_s else ""
        table.writerow([
            row.model, row.step, len(row.wall_s), f"{statistics.median(row.wall_s):.3f}", f"{min(row.wall_s):.3f}",
            f"{max(row.wall_s):.3f}", cpu, "" if row.asked_s is None else f"{row.asked_s:g}",
        ])  # fmt: skip
    return stream.getvalue()


def describe(rows: Sequence[Row], memory_mb: float, load: float) -> str:
    """The page: table, machine, and whether what is asked was reached by the median."""
    lines = [
        "# Viewer benchmark", "",
        f"Written by `uscl-med3d bench --viewer`: a cine of {CLICKED} frames of {ROWS} x {COLUMNS} pixels, from the request "
        "of a click to the changed part of the mask, over HTTP on this computer. Random weights; the mask is a ball of "
        f"{RADIUS:.0%} of the crop's side.", "",
        f"- machine: {_processor()}, {torch.get_num_threads()} threads; load average before the run {load:.2f}",
        f"- largest memory of the process with the default model, a 105 MB and a 61 MB cine opened: {memory_mb:.0f} MB "
        "(asked: <= 1000)", "",
        "| model | step | runs | wall seconds, median | least | largest | CPU-seconds, median | asked |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in rows:
        cpu = f"{statistics.median(row.cpu_s):.3f}" if row.cpu_s else ""
        asked = "" if row.asked_s is None else f"<= {row.asked_s:g}"
        cells = [row.model, row.step, str(len(row.wall_s))]
        cells += [
            f"{value:.3f}" for value in (statistics.median(row.wall_s), min(row.wall_s), max(row.wall_s))
        ]
        lines.append("| " + " | ".join([*cells, cpu, asked]) + " |")
    missed = [f"{row.model}, {row.step}" for row in rows
              if row.asked_s is not None and statistics.median(row.wall_s) > row.asked_s]  # fmt: skip
    lines += ["", "Asked of the median: " + ("met." if not missed else f"missed by {'; '.join(missed)}.")]
    return "\n".join(lines) + "\n"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown processor"
