"""Files that figures read, and how sweeps are found and read from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from uscl_med3d.core.io import load_volume, read_json

UNLABELLED = 255
"""Value of frames without annotation, and of rejected pseudo-label frames."""


Needed = Iterator[tuple[str, Sequence[int] | None]]
"""Sweeps that a figure shows, each with the frames of its image; None: all of them."""


@dataclass(frozen=True)
class FigureInputs:
    """Paths of everything that any figure may show; what is None or empty is said to be missing.

    Attributes:
        volumes_dir: one folder per sweep with image, key frames, reference and sidecar.
        splits_csv: patient, sweep, group, view, split.
        pseudolabels_dir: pseudo-labels per sweep, `frames.csv`, `quality.csv`, `sweeps.csv`.
        scores: per-case score files.
        curves: learning-curve files of every stage.
        predictions: one folder per run with predicted masks.
        image_use: table of image use.
    """

    volumes_dir: Path | None = None
    splits_csv: Path | None = None
    pseudolabels_dir: Path | None = None
    scores: Sequence[Path] = ()
    curves: Sequence[Path] = ()
    predictions: Sequence[Path] = ()
    image_use: Path | None = None

    @classmethod
    def kept(
        cls,
        folder: Path,
        splits_csv: Path,
        scores: Sequence[Path] = (),
        curves: Sequence[Path] = (),
        image_use: Path | None = None,
    ) -> FigureInputs:
        """From the folder `figure_inputs`, which holds what figures show (`report.figure_inputs`)."""
        runs = folder / "predictions"
        predictions = sorted(runs.iterdir()) if runs.is_dir() else []
        labels = folder / "pseudolabels"
        return cls(folder / "volumes", splits_csv, labels, scores, curves, predictions, image_use)


@dataclass(frozen=True)
class Sweep:
    """One ingested sweep; arrays are (d, h, w)."""

    name: str
    folder: Path
    image: np.ndarray
    key_frames: np.ndarray
    sidecar: dict

    @property
    def aspect(self) -> float:
        """Height of a pixel over its width."""
        spacing = self.sidecar.get("spacing_mm") or {}
        return float((spacing.get("h") or 1.0) / (spacing.get("w") or 1.0))

    def frames_with_role(self, role: str) -> list[int]:
        """Indices (in the volume) of the key frames used as `prompt` (corrections are prompts) or `held_out`."""
        roles = {"prompt", "correction"} if role == "prompt" else {role}
        entries = self.sidecar.get("key_frames", [])
        return sorted({int(entry["index"]) for entry in entries if entry["role"] in roles})

    def reference(self) -> np.ndarray | None:
        """The complete reference masks, where the cohort has them."""
        path = self.folder / "reference.nii.gz"
        return load_volume(path)[0] if path.is_file() else None


def list_sweeps(inputs: FigureInputs, views: Sequence[str] = ()) -> pd.DataFrame:
    """Rows of the split file (of some views), sorted; empty where there is none."""
    if inputs.splits_csv is None or not Path(inputs.splits_csv).is_file():
        return pd.DataFrame(columns=["patient", "sweep", "group", "view", "split"])
    rows = pd.read_csv(inputs.splits_csv, dtype=str).sort_values("sweep")
    return rows[rows["view"].isin(views)] if views else rows


def load_sweep(inputs: FigureInputs, name: str) -> Sweep | None:
    """Read one sweep, or None where its volume is not there."""
    if inputs.volumes_dir is None:
        return None
    folder = Path(inputs.volumes_dir) / name
    if not (folder / "image.nii.gz").is_file():
        return None
    image = load_volume(folder / "image.nii.gz")[0]
    keys = folder / "key_frames.nii.gz"
    labels = load_volume(keys)[0] if keys.is_file() else np.full(image.shape, UNLABELLED, np.uint8)
    sidecar = read_json(folder / "sidecar.json") if (folder / "sidecar.json").is_file() else {}
    return Sweep(name, folder, image, labels, sidecar)


def read_sweeps(inputs: FigureInputs, views: Sequence[str], limit: int) -> Iterator[Sweep]:
    """Up to `limit` sweeps of some views (all views if empty), one after the other.

    In the order of their names.
    """
    names = list_sweeps(inputs, views)["sweep"].head(limit)
    for name in names:
        sweep = load_sweep(inputs, name)
        if sweep is not None:
            yield sweep


def largest_frame(labels: np.ndarray, value: int) -> tuple[int, int]:
    """Index of the frame with the most pixels of `value`, and how many: (index, pixels)."""
    areas = (labels == value).sum((1, 2))
    return int(areas.argmax()), int(areas.max())
