"""Key frames as a label map of the clip, values as in `classes`: NIfTI, NRRD or MetaImage.

Where both have an affine, it says which voxel is which pixel of which frame; else (x, y, z) = (column, row, frame) as
stored. Frames with a labelled pixel are key frames. An empty frame says nothing, except in a map that uses 255 (not
annotated): there every frame that is not 255 throughout is a key frame, so that one without any structure can be told.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from uscl_med3d.core.io import check_packing
from uscl_med3d.data.annotations.base import (
    IGNORE,
    Canvas,
    check_beside,
    damaged,
    expecting,
    read_binary,
)
from uscl_med3d.data.annotations.geometry import place, put, say_sizes
from uscl_med3d.data.volumes import read_header

EXPECTED = "a NIfTI label map (*.nii.gz, *.nii; also *.nrrd, *.mha)"
SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")


def read(path: Path, canvas: Canvas) -> dict[int, np.ndarray]:
    """Frame index -> label map uint8 (h, w). Raises `InputError`."""
    labels = read_label_map(path, canvas)
    frames = read_binary(dict(enumerate(labels)), canvas, path)
    empty = IGNORE if any((mask == IGNORE).any() for mask in frames.values()) else 0
    return {frame: np.ascontiguousarray(mask) for frame, mask in frames.items() if (mask != empty).any()}


def read_label_map(path: Path, canvas: Canvas) -> np.ndarray:
    """Labels uint8 (frames, rows, columns) on the clip's grid. Raises `InputError`."""
    check_beside(path)
    with expecting(EXPECTED):
        header = read_header(path)
    whole = (canvas.width, canvas.height, canvas.frames)
    expected = f"{canvas.width} x {canvas.height} x {canvas.frames} (columns, rows, frames), the clip's grid"
    if len(header.shape) != 3 or header.components != 1:
        found = f"{' x '.join(map(str, header.stored_shape))} voxels of {header.components} component(s)"
        raise damaged(path, found, expected)
    placement = place(header.affine, header.shape, canvas, path)
    if placement is None and header.shape != whole:  # before anything is unpacked
        raise damaged(path, " x ".join(map(str, header.shape)), expected)
    check_packing(path, int(np.prod(header.shape, dtype=float)))
    with expecting(EXPECTED):
        array = header.read()
    labels = _to_labels(array, path)
    for note in header.notes:
        canvas.say(f"{path.name}: {note.text}")
    if placement is None:
        say_sizes(header.spacing_mm, canvas, path)
        return labels
    return put(labels, placement, IGNORE if (labels == IGNORE).any() else 0, canvas, path)


def _to_labels(array: np.ndarray, path: Path) -> np.ndarray:
    """Numbers of any type as uint8. Raises `InputError` for what are no labels."""
    if array.dtype.kind not in "iufb" or not np.isfinite(array).all() or (array != np.rint(array)).any():
        raise damaged(path, f"values that are no labels ({array.dtype})", "whole numbers")
    if array.min() < 0 or array.max() > 255:
        raise damaged(
            path, f"label values from {array.min():g} to {array.max():g}", "label values of 0 to 255"
        )
    return array.astype(np.uint8)


def file_of(path: Path, frame: int) -> Path:
    """The file that holds the mask of a frame, for messages."""
    return path
