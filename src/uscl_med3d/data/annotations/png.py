"""Key frames as a folder of 8-bit label images, frame_0012.png for frame 12 (counted from 0)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.annotations.base import Canvas

EXPECTED = "a folder of label images frame_0012.png"
NAME = re.compile(r"frame_(\d{1,9})\.png")


def read(folder: Path, canvas: Canvas) -> dict[int, np.ndarray]:
    """Frame index -> label map uint8 (h, w), of the size it has. Raises `InputError`."""
    masks: dict[int, np.ndarray] = {}
    for file in sorted(folder.iterdir()):
        if file.name.startswith("."):
            continue
        match = NAME.fullmatch(file.name)
        if match is None:
            raise InputError(
                file=file,
                found=f"file name {file.name!r}",
                expected="names like frame_0012.png (frame 12, from 0)",
                remedy="rename the mask after its frame, or move the file out of the folder",
            )
        frame = int(match.group(1))
        if frame in masks:
            raise InputError(
                file=file,
                found=f"a second mask of frame {frame}",
                expected="one mask per frame",
                remedy="remove one of the two",
            )
        masks[frame] = _read_mask(file)
    if not masks:
        raise InputError(
            file=folder,
            found="an empty folder",
            expected="label images frame_0012.png",
            remedy="put the masks there, or leave key_frames empty in cohort.csv",
        )
    return masks


def file_of(folder: Path, frame: int) -> Path:
    """The file that holds the mask of a frame, for messages."""
    for file in sorted(folder.iterdir()):
        match = NAME.fullmatch(file.name)
        if match and int(match.group(1)) == frame:
            return file
    return folder


def _read_mask(file: Path) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file, formats=["PNG"]) as image:
            mode, mask = image.mode, np.array(image)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(
            file=file,
            found=f"not readable as PNG ({type(error).__name__})",
            expected="an 8-bit PNG label image",
            remedy="export the mask again",
        ) from error
    if mode not in ("L", "P"):  # of a palette image the indices are the labels
        raise InputError(
            file=file,
            found=f"a PNG of mode {mode}",
            expected="an 8-bit grey or palette PNG, pixel value = label",
            remedy="export label values, not colours or an overlay",
        )
    return mask
