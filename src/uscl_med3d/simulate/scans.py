"""Simulated image sets for single-image methods: every part of the body from a seen and from an unseen scanner.

<out>/classes.json, stills.csv, <part>_<scanner>/{images,masks}/<still>.png. The test patients lie under both scanners, so
that what an unseen scanner costs is measured on the same bodies. Masks are what the simulated annotator draws.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from uscl_med3d.core.io import write_json, write_text
from uscl_med3d.core.params.samus import ScannerSettings, Scans
from uscl_med3d.core.params.simulate import SimulateCohort
from uscl_med3d.core.seeds import rng
from uscl_med3d.simulate.annotator import choose_key_frames, draw_contours
from uscl_med3d.simulate.cohort import VIEWS, draw_sweep
from uscl_med3d.simulate.pool import replacing, run_cases
from uscl_med3d.simulate.screen import draw_furniture

COLUMNS = ("still", "set", "patient", "split")


def simulate_scans(job: Any, out_dir: str | Path) -> None:
    """Write all sets of `job.scans` into `out_dir`."""
    names = sorted({f"{part}_{scanner}" for part in job.scans.parts for scanner in job.scans.scanners})
    with replacing(out_dir, names) as folder:
        for name in names:
            for sub in ("images", "masks"):
                (folder / name / sub).mkdir()
        cases = [
            (
                row,
                str(folder),
                as_scanned(job.cohort, job.scans, job.scans.scanners[row["scanner"]]),
                dict(job.classes),
                job.seed,
            )
            for row in list_scans(job.scans)
        ]
        rows = [row for found in run_cases(write_scan, cases, job.scans.workers) for row in found]
    lines = [",".join(COLUMNS), *(",".join(row[name] for name in COLUMNS) for row in rows)]
    write_text(Path(out_dir) / "stills.csv", "\n".join(lines) + "\n")
    write_json(Path(out_dir) / "classes.json", dict(job.classes))


def list_scans(scans: Scans) -> list[dict[str, str]]:
    """One row per scan; patients take turns in the views of their part of the body."""
    rows = []
    for part in scans.parts:
        splits = ["train"] * scans.patients.train + ["test"] * scans.patients.test
        for number, split in enumerate(splits, start=1):
            patient = f"scan_{part}_{number:03d}"
            view = VIEWS[part][number % len(VIEWS[part])]
            for scanner in scans.scanners if split == "test" else ["seen"]:
                rows.append(
                    {
                        "patient": patient,
                        "sweep": patient,
                        "group": part,
                        "view": view,
                        "split": split,
                        "scanner": scanner,
                        "set": f"{part}_{scanner}",
                    }
                )
    return rows


def as_scanned(cohort: SimulateCohort, scans: Scans, scanner: ScannerSettings) -> SimulateCohort:
    """The cohort's settings with a scanner's probe and physics, and with short sweeps; always the curved array."""
    physics = scanner.model_dump(exclude={"probe"})
    acquisition = {
        "frames": (scans.frames, scans.frames),
        "frame_step_mm": scans.frame_step_mm,
        "sector_share": 0.0,
        "probes": {"convex": scanner.probe},
    }
    annotator = {"key_frames": scans.stills, "frames_per_class": 1}
    return cohort.model_copy(
        update={
            "physics": cohort.physics.model_copy(update=physics),
            "acquisition": cohort.acquisition.model_copy(update=acquisition),
            "annotator": cohort.annotator.model_copy(update=annotator),
        }
    )


def write_scan(
    row: dict[str, str], folder: str, cohort: SimulateCohort, classes: dict[str, int], seed: int
) -> list[dict[str, str]]:
    """Write the stills of one scan; returns their lines of stills.csv, none where no structure is seen.

    Streams do not depend on the scanner.
    """
    sweep, _ = draw_sweep(row, cohort, classes, seed)
    draw_furniture(sweep.frames, sweep.fan)
    values = np.unique(sweep.labels[sweep.labels > 0])
    if not len(values):
        return []
    areas = np.stack([(sweep.labels == value).sum(axis=(1, 2)) for value in values])
    stream = rng(seed, "simulate", row["sweep"], "annotator")
    rows = []
    for frame in choose_key_frames(areas, cohort.annotator):
        drawn = draw_contours(
            stream, sweep.labels[frame], sweep.fan.mask, sweep.fan.spacing_mm, cohort.annotator
        )
        if not drawn.any():
            continue
        still = f"{row['patient']}_{row['scanner']}_{frame:02d}"
        root = Path(folder, row["set"])
        Image.fromarray(sweep.frames[frame]).save(root / "images" / f"{still}.png")
        Image.fromarray(drawn).save(root / "masks" / f"{still}.png")
        rows.append({"still": still, "set": row["set"], "patient": row["patient"], "split": row["split"]})
    return rows
