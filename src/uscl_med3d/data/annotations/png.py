"""Key frames as a folder of 8-bit label images, named after their frames (counted from 0) as tools write them:
frame_0012.png, Frame_12.PNG, 0012.png, S001_frame_0012.png.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.annotations.base import FRAME_NAME, Canvas

EXPECTED = "a folder of label images frame_0012.png"
LOSSY = (".jpg", ".jpeg", ".webp")


def read(folder: Path, canvas: Canvas) -> dict[int, np.ndarray]:
    """Frame index -> label map uint8 (h, w), of the size it has. Raises `InputError`."""
    masks: dict[int, np.ndarray] = {}
    for file in sorted(folder.iterdir()):
        if file.name.startswith("."):
            continue
        frame = frame_of_file(file)
        if frame is None:
            raise _refuse_name(file)
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
        if frame_of_file(file) == frame:
            return file
    return folder


def frame_of_file(file: Path) -> int | None:
    """The frame that a label image's name stands for; None for another name or kind of file."""
    match = FRAME_NAME.fullmatch(file.stem) if file.suffix.lower() == ".png" else None
    return None if match is None else int(match.groups()[-1])


def _refuse_name(file: Path) -> InputError:
    if file.suffix.lower() in LOSSY:
        return InputError(
            file=file,
            found=f"a label image as {file.suffix[1:].upper()}, whose compression is lossy: values at edges are changed",
            expected="PNG, which keeps every value",
            remedy="export the masks again as PNG; converting this file does not bring its values back",
        )
    return InputError(
        file=file,
        found=f"file name {file.name!r}",
        expected="names like frame_0012.png, 0012.png or S001_frame_0012.png (frame 12, from 0)",
        remedy="rename the mask after its frame, or move the file out of the folder",
    )


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
