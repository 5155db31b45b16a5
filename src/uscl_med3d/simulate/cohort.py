"""The simulated cohort, written as raw files of the kind a hospital exports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from uscl_med3d.core.io import save_volume, write_text
from uscl_med3d.core.params.simulate import Group, ProbeName, SimulateCohort
from uscl_med3d.core.seeds import rng
from uscl_med3d.simulate.abdomen import Flank
from uscl_med3d.simulate.anatomy import Anatomy
from uscl_med3d.simulate.annotator import choose_key_frames, draw_contours
from uscl_med3d.simulate.chest import Chest
from uscl_med3d.simulate.pool import replacing, run_cases
from uscl_med3d.simulate.screen import draw_furniture
from uscl_med3d.simulate.sweep import Sweep, simulate_sweep
from uscl_med3d.simulate.video import write_video

FOLDERS = ("videos", "key_frames", "truth")
VIEWS: dict[Group, tuple[str, ...]] = {"chest": ("chest",), "abdomen": ("abdomen_right", "abdomen_left")}
TARGETS = {
    "chest": ("pleural_effusion",),
    "abdomen_right": ("liver", "kidney", "ascites"),
    "abdomen_left": ("spleen", "kidney", "ascites"),
}
COLUMNS = (
    "patient",
    "sweep",
    "group",
    "view",
    "split",
    "video",
    "key_frames",
    "probe",
    "spacing_mm",
    "frame_spacing_mm",
    "reference",
)


def simulate_cohort(job: Any, out_dir: str | Path) -> None:
    """Write cohort.csv, videos/, key_frames/ and the evaluation-only truth/ into `out_dir`."""
    with replacing(out_dir, FOLDERS) as folder:
        cases = [
            (row, str(folder), job.cohort, dict(job.classes), job.seed) for row in list_sweeps(job.cohort)
        ]
        rows = run_cases(write_sweep, cases, job.cohort.workers)
    lines = [",".join(COLUMNS), *(",".join(row[name] for name in COLUMNS) for row in rows)]
    write_text(Path(out_dir) / "cohort.csv", "\n".join(lines) + "\n")


def list_sweeps(cohort: SimulateCohort) -> list[dict[str, str]]:
    """Patient, sweep, group, view and split of every sweep; a patient has one split."""
    rows = []
    for group, views in VIEWS.items():
        count = cohort.patients[group]
        splits = ["train"] * count.train + ["val"] * count.val + ["test"] * count.test
        for number, split in enumerate(splits, start=1):
            patient = f"{group}_{number:03d}"
            for view in views:
                sweep = patient if view == group else f"{patient}_{view.removeprefix(group + '_')}"
                rows.append(
                    {"patient": patient, "sweep": sweep, "group": group, "view": view, "split": split}
                )
    return rows


def draw_sweep(
    row: dict[str, str], cohort: SimulateCohort, classes: dict[str, int], seed: int
) -> tuple[Sweep, ProbeName]:
    """Simulate the sweep of one row, and name its probe. Streams are named by patient and sweep."""
    person, side = rng(seed, "simulate", row["patient"]), rng(seed, "simulate", row["sweep"], "anatomy")
    sector = rng(seed, "simulate", row["patient"], "probe").uniform() < cohort.acquisition.sector_share
    probe: ProbeName = "sector" if sector and row["group"] == "chest" else "convex"
    targets = list(TARGETS[row["view"]])
    if row["group"] == "chest":
        anatomy: Anatomy = Chest(person, side, cohort.build["chest"])
    else:
        has_ascites = rng(seed, "simulate", row["patient"], "ascites").uniform() < cohort.ascites_share
        anatomy = Flank(person, side, row["view"], has_ascites, cohort.build["abdomen"])
        if not has_ascites:
            targets.remove("ascites")
    stream = rng(seed, "simulate", row["sweep"], "scan")
    group: Group = "chest" if row["group"] == "chest" else "abdomen"
    return simulate_sweep(stream, anatomy, tuple(targets), group, probe, cohort, classes), probe


def write_sweep(
    row: dict[str, str], folder: str, cohort: SimulateCohort, classes: dict[str, int], seed: int
) -> dict[str, str]:
    """Write one sweep's video, key frames and true labels; returns its line of cohort.csv."""
    name, root = row["sweep"], Path(folder)
    sweep, probe = draw_sweep(row, cohort, classes, seed)
    draw_furniture(sweep.frames, sweep.fan)
    write_video(root / "videos" / f"{name}.mp4", sweep.frames, cohort.video)
    spacing = sweep.fan.spacing_mm
    # The sweep is untracked: readers do not know its frame distance, hence 1.0 by convention.
    save_volume(root / "truth" / f"{name}.nii.gz", sweep.labels, (1.0, spacing, spacing))
    values = np.unique(sweep.labels[sweep.labels > 0])
    areas = np.stack([(sweep.labels == value).sum(axis=(1, 2)) for value in values])
    keys = root / "key_frames" / name
    keys.mkdir()
    stream = rng(seed, "simulate", name, "annotator")
    for frame in choose_key_frames(areas, cohort.annotator):
        drawn = draw_contours(stream, sweep.labels[frame], sweep.fan.mask, spacing, cohort.annotator)
        Image.fromarray(drawn).save(keys / f"frame_{frame:04d}.png")
    return row | {
        "video": f"videos/{name}.mp4",
        "key_frames": f"key_frames/{name}",
        "probe": probe,
        "spacing_mm": f"{spacing:.6g}",
        "frame_spacing_mm": "",
        "reference": f"truth/{name}.nii.gz",
    }
