"""What figures show of volumes, pseudo-labels and predictions: a few frames and tables, small enough for Git.

Each figure names the sweeps and frames that it shows (`needed`). Figures drawn from this folder are those drawn from
the whole folders, because they look for the best sweep among those that are there. So tables, figures, claims and the
page are made anew in a fresh clone (`uscl-med3d regenerate`).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from uscl_med3d.core.io import atomic, load_volume, save_volume, write_csv
from uscl_med3d.core.reporting import VOLUME_FIGURES
from uscl_med3d.report.figures import find_figure
from uscl_med3d.report.figures.inputs import FigureInputs


def build_figure_inputs(job: Any, inputs: FigureInputs, out_dir: Path) -> None:
    """Write the folder: `volumes/`, `pseudolabels/` and `predictions/`, laid out as their originals.

    Images are black but for the frames that a figure shows; `pseudolabels/frames.csv` has the kept sweeps only.

    Args:
        job: parameters of `figure_inputs`.
        inputs: the whole folders; predictions of the shown runs.
        out_dir: the folder to write.
    """
    frames = find_needed(job, inputs)
    with atomic(out_dir) as folder:
        folder.mkdir()
        for sweep, shown in sorted(frames.items()):
            _keep_volume(inputs, sweep, shown, folder / "volumes" / sweep)
        _keep_pseudolabels(inputs, sorted(frames), folder / "pseudolabels")
        for run in map(Path, inputs.predictions):
            for path in sorted(run.rglob("*.nii.gz")):
                _copy(path, folder / "predictions" / run.name / path.relative_to(run))


def find_needed(job: Any, inputs: FigureInputs) -> dict[str, set[int] | None]:
    """Sweep -> frames of its image that any figure shows; None: all of them."""
    frames: dict[str, set[int] | None] = {}
    for name in VOLUME_FIGURES:
        for sweep, shown in find_figure(name).needed(job.classes, job.example_sweeps, inputs):
            known = frames.get(sweep, set())
            frames[sweep] = None if shown is None or known is None else known | set(shown)
    return frames


def _keep_volume(inputs: FigureInputs, sweep: str, shown: set[int] | None, target: Path) -> None:
    assert inputs.volumes_dir is not None  # a sweep was found in it
    source = Path(inputs.volumes_dir) / sweep
    image, spacing = load_volume(source / "image.nii.gz")
    if shown is not None:
        image[np.setdiff1d(np.arange(len(image)), sorted(shown))] = 0
    save_volume(target / "image.nii.gz", image, spacing)
    for name in ("key_frames.nii.gz", "reference.nii.gz", "sidecar.json"):
        _copy(source / name, target / name)


def _keep_pseudolabels(inputs: FigureInputs, sweeps: list[str], target: Path) -> None:
    target.mkdir()
    if inputs.pseudolabels_dir is None:
        return
    source = Path(inputs.pseudolabels_dir)
    for name in ("quality.csv", "sweeps.csv", *(f"{sweep}.nii.gz" for sweep in sweeps)):
        _copy(source / name, target / name)
    if (source / "frames.csv").is_file():
        frames = pd.read_csv(source / "frames.csv", dtype=str, keep_default_na=False)
        write_csv(target / "frames.csv", frames[frames["sweep"].isin(sweeps)])


def _copy(source: Path, target: Path) -> None:
    """Copy a file if it is there: a cohort may lack references, key frames or quality."""
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
