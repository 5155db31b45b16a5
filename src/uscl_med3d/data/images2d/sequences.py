"""Single frames out of the files that hold several: NIfTI sequences, AVI clips, MATLAB masks."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from uscl_med3d.core.errors import InputError


def read_frame(file: Path, frame: int) -> np.ndarray:
    """Grey values uint8 (h, w) of one frame."""
    frames = _read_avi(file) if file.suffix.lower() == ".avi" else read_nifti(file)
    return _pick(file, frames, frame)


def read_mask_frame(file: Path, frame: int) -> np.ndarray:
    """Values uint8 (h, w) of one frame of a mask."""
    frames = read_matlab(file) if file.suffix.lower() == ".mat" else read_nifti(file)
    return _pick(file, frames, frame)


def count_frames(file: Path) -> int:
    """Frames of a NIfTI sequence, from its header."""
    import nibabel

    try:
        shape = tuple(nibabel.load(file).shape)  # type: ignore[attr-defined]
    except Exception as error:  # nibabel's readers raise many kinds
        raise _unreadable(file, error) from error
    if len(shape) != 3:
        raise InputError(
            file=file,
            found=f"an array of shape {shape}",
            expected="a sequence (columns, rows, frames)",
            remedy="unpack the set again",
        )
    return int(shape[2])


@lru_cache(maxsize=4)
def read_nifti(file: Path) -> np.ndarray:
    """uint8 (frames, h, w); the file has (columns, rows, frames)."""
    import nibabel

    count_frames(file)
    try:
        values: Any = np.asanyarray(nibabel.load(file).dataobj)  # type: ignore[attr-defined]
    except Exception as error:
        raise _unreadable(file, error) from error
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8).transpose(2, 1, 0)


@lru_cache(maxsize=4)
def read_matlab(file: Path) -> np.ndarray:
    """The variable `predicted` as uint8 (frames, h, w)."""
    from scipy.io import loadmat

    try:
        values = loadmat(file, variable_names=["predicted"])["predicted"]
    except Exception as error:
        raise _unreadable(file, error) from error
    if values.ndim != 3:
        raise InputError(
            file=file,
            found=f"`predicted` of shape {values.shape}",
            expected="masks (frames, rows, columns)",
            remedy="unpack the set again",
        )
    return values.astype(np.uint8)


@lru_cache(maxsize=2)
def _read_avi(file: Path) -> np.ndarray:
    import av

    try:
        with av.open(str(file)) as container:
            return np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)])
    except Exception as error:
        raise _unreadable(file, error) from error


def _pick(file: Path, frames: np.ndarray, frame: int) -> np.ndarray:
    if not 0 <= frame < len(frames):
        raise InputError(
            file=file,
            found=f"{len(frames)} frames",
            expected=f"a frame {frame}, counted from 0",
            remedy="use the files that belong together",
        )
    return frames[frame]


def _unreadable(file: Path, error: Exception) -> InputError:
    return InputError(
        file=file,
        found=f"not readable ({type(error).__name__})",
        expected="a complete file of the set",
        remedy="unpack the set again",
    )
