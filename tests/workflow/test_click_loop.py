"""The loop of the viewer, in a real browser: three clicks, key frames, a run, and the new adapter in the page's list.

The sweeps are simulated and small, and training is short: the test is about the way round, not about accuracy. Frames are
drawn on the plain canvas, which a busy machine draws in time; tests/unit/view/test_browser.py has both ways of drawing.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import nibabel
import numpy as np
import pytest
import yaml
from checkout import ROOT, Checkout, copy_repository
from scipy import ndimage

from uscl_med3d.core.io import load_volume
from uscl_med3d.core.params.files import read_defaults

pytestmark = pytest.mark.workflow
playwright = pytest.importorskip("playwright.sync_api", reason="no playwright")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("no chromium (apt install chromium, or CHROMIUM=path)", allow_module_level=True)

SHIPPED, TRAINED = "uscl_med3d", "uscl_med3d_r8_both_vcl"
OTHERS = (
    "full_tuning",
    "adaptformer",
    "adapter_off",
    "fastsam3d",
    "sam",
    "mobile_sam",
    "tinysam",
    "sam_med2d",
    "unet",
    "swin_unetr",
    "seggpt",
    "ball",
    "atlas",
    "nearest_key_frame",
    "shape_interpolation",
)
OVERLAY: dict[str, Any] = {
    "scale": "mine",
    "cohort": "mine/cohort.csv",
    "ingest": {"workers": 1},
    "pseudolabel": {
        "gate": {
            "min_confidence": 0.0,
            "min_consistency": 0.0,
            "max_frames_outside": 100,
            "min_accepted_fraction": 0.0,
        }
    },
    "pretrain": {
        "schedule": {"steps": 2, "warmup_steps": 1, "evaluate_every": 2, "resume_every": 2},
        "tasks": {
            "vcl": {"random_crops": 2, "head_components": 8, "whitening_sweeps": 2, "validation_crops": 2}
        },
    },
    "finetune": {
        "steps": 12,
        "batch_size": 2,
        "clicks": 3,
        "warmup_steps": 2,
        "evaluate_every": 6,
        "validation_targets": 2,
        "validation_clicks": 2,
        "resume_every": 6,
    },
    "gate": {"required": False},
    "methods": {
        "sam_med3d": {"datasets": ["us"]},
        "uscl_med3d": {
            "datasets": ["us"],
            "grid": {"rank": 8, "ranks": [8], "modules": ["both"], "without_pretraining": False},
        },
        **dict.fromkeys(OTHERS),
    },
}
WAIT_MS = 600_000
"""A busy machine draws and predicts slowly."""


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy of the repository with three simulated sweeps; that for training has no key frames yet."""
    from uscl_med3d.core.params.simulate import SimulateCohort
    from uscl_med3d.simulate.cohort import FOLDERS, write_sweep

    checkout = copy_repository(tmp_path_factory.mktemp("loop"))
    values = read_defaults(ROOT)
    values["simulate"]["cohort"]["acquisition"] |= {"frames": [24, 24], "frame_step_mm": [4.0, 4.0]}
    settings = SimulateCohort.model_validate(values["simulate"]["cohort"])
    mine = checkout.folder / "mine"
    for name in FOLDERS:
        (mine / name).mkdir(parents=True)
    rows = []
    for split in ("train", "val", "test"):
        row = {
            "patient": f"p_{split}",
            "sweep": f"s_{split}",
            "group": "abdomen",
            "view": "abdomen_right",
            "split": split,
        }
        rows.append(write_sweep(row, str(mine), settings, values["classes"], values["seed"]))
    shutil.rmtree(mine / "key_frames/s_train")
    rows[0] |= {"key_frames": "", "reference": ""}
    write_table(mine / "cohort.csv", rows)
    (checkout.folder / "mine.yaml").write_text(yaml.safe_dump(OVERLAY), encoding="utf-8")
    return checkout


def write_table(path: Path, rows: list[dict[str, str]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


@dataclass
class Viewer:
    """The page of a running `view`, driven as a user does."""

    page: Any
    state: dict[str, Any]
    session: Path

    def where(self, x: int, y: int) -> tuple[float, float]:
        """The point of the window at which a pixel of the clip is drawn."""
        shape, (_, row_mm, column_mm) = self.state["shape"], self.state["spacing_mm"]
        stage = self.page.locator("#stage").bounding_box()
        width, height = shape["columns"] * column_mm, shape["rows"] * row_mm
        scale = min(stage["width"] / width, stage["height"] / height)
        left, top = (stage["width"] - width * scale) / 2, (stage["height"] - height * scale) / 2
        return stage["x"] + left + (x + 0.5) * column_mm * scale, stage["y"] + top + (
            y + 0.5
        ) * row_mm * scale

    def wait(self, done: Callable[[], bool]) -> None:
        """Until something is so, or the page says that something went wrong. Its policy lets no test evaluate code there."""
        for _ in range(WAIT_MS // 100):
            if done():
                return
            assert not self.page.locator("#said.bad").count(), self.page.locator("#said").inner_text()
            self.page.wait_for_timeout(100)
        raise AssertionError(self.page.locator("#said").inner_text())

    def go_to(self, frame: int) -> None:
        self.page.locator("#slider").fill(str(frame))
        self.page.locator("#shield").focus()

    def click(self, x: int, y: int, frame: int, label: int, steps: int) -> None:
        """A click, and wait until the session file has so many steps."""
        self.go_to(frame)
        self.page.mouse.click(*self.where(x, y), button="left" if label else "right")
        self.wait(lambda: len(self.steps()) == steps)
        self.page.wait_for_selector("#busy", state="hidden")
        assert len(self.steps()) == steps, self.page.locator("#said").inner_text()

    def steps(self) -> list[dict[str, Any]]:
        return json.loads(self.session.read_text())["steps"] if self.session.exists() else []

    def said(self, press: str) -> str:
        """What the page says after a key that saves."""
        self.page.evaluate("document.getElementById('said').textContent = ''")
        self.page.keyboard.press(press)
        self.page.wait_for_selector("#said:has-text('Saved')")
        return self.page.locator("#said").inner_text()

    def use(self, model: str) -> None:
        self.page.locator("#models").select_option(model)
        self.wait(lambda: json.loads(self.session.read_text())["model"] == model)
        self.page.wait_for_selector("#busy", state="hidden")
        self.page.locator("#shield").focus()

    def models(self) -> list[str]:
        return self.page.locator("#models option").all_inner_texts()


@pytest.fixture
def open_viewer(cohort: Checkout) -> Iterator[Any]:
    """Start the command `view` on the cohort, and open what it prints in Chromium; `close` ends both."""
    running: list[Any] = []

    def close() -> None:
        while running:
            running.pop()()

    def start() -> Viewer:
        environment = os.environ | {"PYTHONPATH": str(cohort.folder / "src"), "OMP_NUM_THREADS": "1"}
        command = [
            sys.executable,
            "-m",
            "uscl_med3d.cli",
            "view",
            "mine/cohort.csv",
            "--scale",
            "mine",
            "--no-browser",
        ]
        process = subprocess.Popen(
            command, cwd=cohort.folder, env=environment, stdout=subprocess.PIPE, text=True
        )
        running.append(lambda: (process.kill(), process.wait(), process.stdout.close()))
        page_line = next(line for line in process.stdout if line.startswith("page:"))
        address, key = re.search(r"page: (\S+)/#key=(\S+)", page_line).groups()
        headers = {"authorization": f"Bearer {key}"}
        state = httpx.get(f"{address}/api/state", headers=headers, timeout=600).json()
        tool = playwright.sync_playwright().start()
        running.append(tool.stop)
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=WAIT_MS)
        running.append(browser.close)
        page = browser.new_page(viewport={"width": 1100, "height": 760})
        page.set_default_timeout(WAIT_MS)
        page.goto(f"{address}/?flat#key={key}")
        page.wait_for_selector("body[data-ready]")
        return Viewer(page, state, cohort.folder / "mine/cohort_masks/s_train.session.json")

    start.close = close
    yield start
    close()


def middle(mask: np.ndarray) -> tuple[int, int]:
    """Column and row of the innermost pixel."""
    row, column = np.unravel_index(
        ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1].argmax(), mask.shape
    )
    return int(column), int(row)


def test_click_save_run_and_the_new_adapter_is_offered(cohort: Checkout, open_viewer: Any) -> None:
    mine = cohort.folder / "mine"
    truth = np.asarray(load_volume(mine / "truth/s_train.nii.gz")[0])
    liver, kidney = truth == 3, truth == 5
    frame = int((liver.sum((1, 2)) * kidney.any((1, 2))).argmax())
    beside = frame + 2 if liver[min(frame + 2, len(liver) - 1)].any() else frame - 2
    clicks = [
        (*middle(liver[frame]), frame, 1),
        (*middle(liver[beside]), beside, 1),
        (*middle(kidney[frame]), frame, 0),
    ]

    viewer = open_viewer()
    assert SHIPPED in viewer.models() and TRAINED not in viewer.models()
    viewer.page.fill("#name", "liver")
    viewer.page.keyboard.press("Enter")
    viewer.wait(lambda: viewer.page.locator("#objects input.name").first.input_value() == "liver")
    for number, (x, y, z, label) in enumerate(clicks, 1):
        viewer.click(x, y, z, label, number)
    taken = viewer.steps()
    for step, (x, y, z, label) in zip(taken, clicks, strict=True):
        assert step["name"] == "liver" and step["numbers"] == pytest.approx([x, y, z, label], abs=2.01)
    assert "liver" in viewer.said("Control+s")
    masks = mine / "cohort_masks/s_train.nii.gz"
    before = np.asarray(nibabel.load(masks).dataobj)
    saved = [at for at in (frame - 4, frame, frame + 4) if 0 <= at < len(truth)]
    for at in saved:
        viewer.go_to(at)
        said = viewer.said("k")
    assert "key_frames/s_train" in said and "column key_frames" in said  # what is left to do
    open_viewer.close()
    files = sorted(path.name for path in (mine / "key_frames/s_train").iterdir())
    assert files == sorted(f"frame_{at:04d}.png" for at in saved)

    with open(mine / "cohort.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    rows[0]["key_frames"] = "key_frames/s_train"
    write_table(mine / "cohort.csv", rows)
    cohort.snakemake("--quiet", "rules", "--", "finetune_all", scale="mine.yaml")
    assert (cohort.folder / f"results/mine/checkpoints/finetune/{TRAINED}.safetensors").is_file()
    learned = json.loads((cohort.folder / "results/mine/volumes/s_train/sidecar.json").read_text())[
        "key_frames"
    ]
    assert [key["frame"] for key in learned] == saved  # the run read what was clicked

    viewer = open_viewer()
    assert TRAINED in viewer.models()
    assert viewer.steps() == taken  # the session went on where it stopped: the same clicks
    viewer.use(TRAINED)
    viewer.said("Control+s")
    assert viewer.steps() == taken
    described = json.loads((mine / "cohort_masks/s_train.json").read_text())
    assert described["model"] == TRAINED, described
    after = np.asarray(nibabel.load(masks).dataobj)
    # The control: with the model of before the mask of before comes back, so the difference is the adapter's.
    viewer.use(SHIPPED)
    viewer.said("Control+s")
    np.testing.assert_array_equal(np.asarray(nibabel.load(masks).dataobj), before)
    assert (after != before).any()
