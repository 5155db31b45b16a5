"""Annotated key frames of any file format as label maps on the clip's own grid.

One module per format with `read(path, canvas) -> dict[frame, mask]`, `file_of(path, frame)` and `EXPECTED`. A new
format is one file here, one line in `FORMATS`, and its rule in `choose_format`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json
from uscl_med3d.data.annotations import coco, cvat, labelme, nifti, png, seg_nrrd
from uscl_med3d.data.annotations.base import IGNORE, Canvas
from uscl_med3d.data.annotations.naming import split_name
from uscl_med3d.data.volumes import is_segmentation

FORMATS: tuple[ModuleType, ...] = (png, nifti, coco, labelme, cvat, seg_nrrd)
# In this order: a segmentation of 3D Slicer is an NRRD file, too.
BY_SUFFIX = {".seg.nrrd": seg_nrrd, **dict.fromkeys(nifti.SUFFIXES, nifti), ".xml": cvat}

__all__ = [
    "FORMATS",
    "IGNORE",
    "Canvas",
    "by_order",
    "check_labels",
    "choose_format",
    "file_of",
    "label_values",
    "read_annotations",
    "read_label_map",
]


def choose_format(path: Path) -> ModuleType:
    """The module that reads the annotations at `path`. Raises `InputError`."""
    if path.is_dir():
        return labelme if labelme.list_files(path) else png
    if path.is_file():
        name = path.name.lower()
        if name.endswith(".json"):
            content = read_json(path)
            return labelme if isinstance(content, dict) and "shapes" in content else coco
        if is_segmentation(path):
            return seg_nrrd
        for suffix, module in BY_SUFFIX.items():
            if name.endswith(suffix):
                return module
    raise InputError(
        file=path,
        found="no such folder" if not path.exists() else f"a file {path.name!r}",
        expected="; ".join(module.EXPECTED for module in FORMATS),
        remedy="correct the path (relative to cohort.csv), put the folder there, or leave key_frames empty",
    )


def read_annotations(path: str | Path, canvas: Canvas) -> dict[int, np.ndarray]:
    """Frame index (from 0) -> label map uint8 (h, w), sorted by frame, at least one. Raises `InputError`."""
    path = Path(path)
    module = choose_format(path)
    try:
        masks = module.read(path, canvas)
    except (LookupError, TypeError, AttributeError, ValueError, OverflowError, RecursionError) as error:
        # Formats are read as written by their tools; anything else ends here, whatever is wrong with it.
        raise InputError(
            file=path,
            found=f"another structure than the format's ({type(error).__name__}: {error})"[:200],
            expected=module.EXPECTED,
            remedy="export the annotations again with the annotation tool itself",
        ) from error
    if not masks:
        raise InputError(
            file=path,
            found="no annotated frame",
            expected=module.EXPECTED,
            remedy="annotate a frame that shows a structure, or leave key_frames empty in cohort.csv",
        )
    return dict(sorted(masks.items()))


def read_label_map(path: Path, canvas: Canvas) -> np.ndarray:
    """Labels uint8 (frames, rows, columns) of a label map or a 3D Slicer segmentation. Raises `InputError`."""
    if choose_format(path) is not seg_nrrd:
        return nifti.read_label_map(path, canvas)
    whole = np.zeros((canvas.frames, canvas.height, canvas.width), np.uint8)
    for frame, mask in seg_nrrd.read(path, canvas).items():
        whole[frame] = mask
    return whole


def by_order(path: Path) -> bool:
    """Whether a file or folder names no clip at all: label images and label maps belong to whatever names them."""
    if path.is_dir():
        prefixed = any(split_name(png.prefix_of_file(file)) for file in png.list_files(path))
        return not labelme.list_files(path) and not prefixed
    return path.name.lower().endswith((*nifti.SUFFIXES, ".png"))


def file_of(path: Path, frame: int) -> Path:
    """The file that holds the mask of a frame, for messages."""
    return choose_format(path).file_of(path, frame)


def check_labels(mask: np.ndarray, allowed: Mapping[str, int], file: Path) -> None:
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


def label_values(mask: np.ndarray) -> Sequence[float]:
    """Sorted values of a label map of any type."""
    if mask.dtype != np.uint8:
        return np.unique(mask).tolist()
    # A table of 256 entries is several times faster than sorting a whole reference volume.
    return np.flatnonzero(np.bincount(mask.ravel(), minlength=256)).tolist()
