"""Annotated key frames of any file format as label maps on the clip's own grid.

One module per format with `read(path) -> dict[frame, mask]`. A new format is one file here and one line in
`choose_format`.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.annotations import png

IGNORE = 255  # "not annotated"


def choose_format(path: Path) -> ModuleType:
    """The module that reads the annotations at `path`. Raises `InputError`."""
    if path.is_dir():
        return png
    raise InputError(
        file=path,
        found="no such folder" if not path.exists() else "a file",
        expected="a folder of label images frame_0012.png",
        remedy="correct the path (relative to cohort.csv), put the folder there, or leave key_frames empty",
    )


def read_annotations(path: str | Path) -> dict[int, np.ndarray]:
    """Frame index (from 0) -> label map uint8 (h, w), sorted by frame. Raises `InputError`."""
    path = Path(path)
    return dict(sorted(choose_format(path).read(path).items()))


def check_labels(mask: np.ndarray, allowed: dict[str, int], file: Path) -> None:
    """Raise `InputError` where a label map has a value that is no class."""
    unknown = sorted(set(label_values(mask)) - set(allowed.values()) - {0, IGNORE})
    if unknown:
        names = ", ".join(f"{value} {name}" for name, value in allowed.items())
        raise InputError(
            file=file,
            found=f"label value(s) {', '.join(map(str, unknown))}",
            expected=f"0 background, {names}, {IGNORE} not annotated",
            remedy="repaint the mask with these values, or add the class to `classes` in the parameters",
        )


def label_values(mask: np.ndarray) -> list[float]:
    """Sorted values of a label map of any type."""
    if mask.dtype != np.uint8:
        return np.unique(mask).tolist()
    # A table of 256 entries is several times faster than sorting a whole reference volume.
    return np.flatnonzero(np.bincount(mask.ravel(), minlength=256)).tolist()
