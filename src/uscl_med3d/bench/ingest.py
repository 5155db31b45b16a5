"""Ingest benchmark: one usual sweep, 140 frames of 600 x 740 pixels, from an H.264 video to a volume.

The numbers depend on the machine and on its load, so they are a report, never a test.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import write_text

FRAMES, HEIGHT, WIDTH = 140, 600, 740
KEY_FRAMES = (10, 40, 70, 100, 130)
WALL_S, PEAK_MB = 5.0, 1000.0
"""What is asked of one sweep on one core."""
COHORT = (
    "patient,sweep,group,view,split,video,key_frames,spacing_mm\n"
    "p,s,abdomen,abdomen_right,train,clip.mp4,keys,0.3\n"
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, then write `ingest.md` to the output folder."""
    parser = argparse.ArgumentParser(prog="uscl-med3d bench --ingest", description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/bench"))
    parser.add_argument(
        "--params-file", type=Path, default=Path("params.yaml"), help="whose section `ingest` is used"
    )
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_cohort(folder)
        write_job(options.params_file, folder / "job.json")
        runs = [measure(folder) for _ in range(options.repeats)]
        size = (folder / "clip.mp4").stat().st_size
    write_text(options.out / "ingest.md", describe(runs, size, load))
    print(options.out / "ingest.md")


def write_cohort(folder: Path) -> None:
    """One sweep: a fan of moving speckle as an H.264 video, and five key frames of its size."""
    import av
    from PIL import Image

    random = np.random.default_rng(0)
    y, x = np.indices((HEIGHT, WIDTH))
    fan = (np.hypot(x - WIDTH / 2, y + 120) < 700) & (np.abs(x - WIDTH / 2) < 0.6 * (y + 120))
    texture = random.integers(20, 200, (HEIGHT + FRAMES, WIDTH)).astype(np.uint8)
    with av.open(str(folder / "clip.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        for frame in range(FRAMES):
            grey = np.where(fan, texture[frame : frame + HEIGHT] // 2 + random.integers(0, 40, fan.shape), 0)
            for packet in stream.encode(av.VideoFrame.from_ndarray(grey.astype(np.uint8), format="gray")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[250:400, 280:460] = 3
    (folder / "keys").mkdir()
    for frame in KEY_FRAMES:
        Image.fromarray(mask).save(folder / "keys" / f"frame_{frame:04d}.png")
    write_text(folder / "cohort.csv", COHORT)


def write_job(params_file: Path, job_file: Path) -> None:
    """The job file of the stage, as the workflow would write it."""
    import yaml

    try:
        values = yaml.safe_load(params_file.read_text(encoding="utf-8"))
        job = {
            "seed": values["seed"],
            "classes": values["classes"],
            "ingest": values["ingest"] | {"workers": 1},
        }
    except (OSError, yaml.YAMLError, TypeError, KeyError) as error:
        raise InputError(
            file=params_file,
            found=f"{type(error).__name__}: {error}",
            expected="a parameter file",
            remedy="run from the repository's folder, or name the file by --params-file",
        ) from None
    # A single patient fills no split; that is not what is measured.
    job["ingest"]["bad_sweeps"] = "stop"
    write_text(job_file, json.dumps(job))


def measure(folder: Path) -> dict[str, float]:
    """Run the stage in a process of its own: seconds of the stage and of the process, and its peak memory."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "uscl_med3d.bench.ingest", "--run", str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"the benchmark process failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1]) | {"process_s": time.perf_counter() - start}


def run(folder: Path) -> None:
    """In the process of its own: the stage, then its figures on standard output."""
    import resource

    from uscl_med3d.core.params import load_job
    from uscl_med3d.data.ingest import ingest

    out = folder / "out"
    start, cpu = time.perf_counter(), time.process_time()
    ingest(
        load_job("ingest", folder / "job.json"), folder / "cohort.csv", out / "volumes", out / "splits.csv"
    )
    figures = {"stage_s": time.perf_counter() - start, "cpu_s": time.process_time() - cpu}
    # Kilobytes on Linux, bytes on macOS.
    unit = 1e6 if sys.platform == "darwin" else 1e3
    print(json.dumps(figures | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit}))


def describe(runs: list[dict[str, float]], size: int, load: float) -> str:
    """The report in Markdown."""
    from uscl_med3d.bench.encoder import cpu_name

    lines = [
        "# Ingest benchmark",
        "",
        f"Written by `uscl-med3d bench --ingest`: one sweep of {FRAMES} frames of {HEIGHT} x {WIDTH} pixels (H.264, "
        f"{size / 1e6:.1f} MB) with {len(KEY_FRAMES)} key frames, one worker, one process per run.",
        "",
        f"- machine: {cpu_name()}; load average before the run {load:.2f}",
        "",
        "| figure | median of runs | least | largest | asked |",
        "|---|---|---|---|---|",
    ]
    for name, label, asked in (
        ("stage_s", "stage, wall seconds", f"<= {WALL_S:g}"),
        ("cpu_s", "stage, CPU-seconds", ""),
        ("process_s", "with the start of Python, wall seconds", ""),
        ("peak_mb", "peak memory, MB", f"<= {PEAK_MB:g}"),
    ):
        values = np.array([run[name] for run in runs])
        lines.append(
            f"| {label} | {np.median(values):.2f} | {values.min():.2f} | {values.max():.2f} | {asked} |"
        )
    met = all(run["stage_s"] <= WALL_S and run["peak_mb"] <= PEAK_MB for run in runs)
    return "\n".join([*lines, "", f"Asked of every run: {'met' if met else 'not met'}.", ""])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        run(Path(sys.argv[2]))
    else:
        main()
