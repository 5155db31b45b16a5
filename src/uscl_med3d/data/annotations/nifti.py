"""Key frames as a NIfTI label map on the clip's grid: (x, y, z) = (column, row, frame), values as in `classes`.

Frames with a labelled pixel are key frames. An empty frame says nothing, except in a map that uses 255 (not
annotated): there every frame that is not 255 throughout is a key frame, so that one without any structure can be told.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.annotations.base import IGNORE, Canvas, damaged

EXPECTED = "a NIfTI label map (*.nii.gz, *.nii)"


def read(path: Path, canvas: Canvas) -> dict[int, np.ndarray]:
    """Frame index -> label map uint8 (h, w). Raises `InputError`."""
    import nibabel

    expected = f"{canvas.width} x {canvas.height} x {canvas.frames} (columns, rows, frames), the clip's grid"
    try:
        volume: Any = nibabel.load(path)
        shape = volume.shape
        while len(shape) > 3 and shape[-1] == 1:
            shape = shape[:-1]
        if shape != (canvas.width, canvas.height, canvas.frames):  # before anything is unpacked
            raise damaged(path, " x ".join(map(str, shape)), expected)
        array = np.asanyarray(volume.dataobj).reshape(shape)
    except InputError:
        raise
    except Exception as error:  # each damage has an exception of its own in nibabel, gzip and zlib
        raise damaged(path, f"not readable as NIfTI ({type(error).__name__})", "a NIfTI label map") from error
    return split_frames(array.transpose(2, 1, 0), path)


def split_frames(array: np.ndarray, path: Path) -> dict[int, np.ndarray]:
    """Annotated frames of a label map (frames, rows, columns) of any type of number."""
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all() or (array != np.rint(array)).any():
        raise damaged(path, f"values that are no labels ({array.dtype})", "whole numbers")
    if array.min() < 0 or array.max() > 255:
        raise damaged(
            path, f"label values from {array.min():g} to {array.max():g}", "label values of 0 to 255"
        )
    labels = array.astype(np.uint8)
    empty = IGNORE if (labels == IGNORE).any() else 0
    annotated = (labels != empty).any(axis=(1, 2))
    return {int(frame): np.ascontiguousarray(labels[frame]) for frame in np.flatnonzero(annotated)}


def file_of(path: Path, frame: int) -> Path:
    """The file that holds the mask of a frame, for messages."""
    return path
