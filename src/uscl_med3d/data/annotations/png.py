"""Key frames as a folder of label images, named after their frames (counted from 0) as tools write them:
frame_0012.png, Frame_12.PNG, 0012.png, S001_frame_0012.png, whose prefix says the clip.

Of a grey image the values are the labels. Of an indexed one the colours are, where they are those that `review` writes
(`palette`): drawing programs renumber indices. Indices count where the palette says nothing, that is a ramp of greys.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.annotations.base import FRAME_NAME, Canvas, read_binary
from uscl_med3d.data.annotations.naming import choose_group, split_name
from uscl_med3d.data.annotations.palette import read_indexed

EXPECTED = "a folder of label images frame_0012.png"
LOSSY = (".jpg", ".jpeg", ".webp")
LEFT_BEHIND = ("thumbs.db", "desktop.ini")  # by file managers
TURN = 0x0112  # orientation in EXIF, which viewers apply
BIT_DEPTH = 24  # byte of the header that says the bits of a sample


def read(folder: Path, canvas: Canvas) -> dict[int, np.ndarray]:
    """Frame index -> label map uint8 (h, w), of the size it has. Raises `InputError`."""
    groups: dict[tuple[str, ...], dict[int, Path]] = {}
    shown: dict[tuple[str, ...], str] = {}
    for file in list_files(folder):
        frame = frame_of_file(file)
        if frame is None:
            raise _refuse_name(file)
        names = split_name(prefix_of_file(file))
        group = groups.setdefault(names, {})
        shown[names] = prefix_of_file(file).strip("_- ") or "(no name)"
        if frame in group:
            raise InputError(
                file=file,
                found=f"a second mask of frame {frame}",
                expected="one mask per frame",
                remedy="remove one of the two",
            )
        group[frame] = file
    if not groups:
        raise InputError(
            file=folder,
            found="an empty folder",
            expected="label images frame_0012.png",
            remedy="put the masks there, or leave key_frames empty in cohort.csv",
        )
    own = groups[choose_group(shown, canvas.clip, folder)]
    return read_binary({frame: _read_mask(file, canvas) for frame, file in own.items()}, canvas, folder)


def list_files(folder: Path) -> list[Path]:
    """What a person has put into a folder, sorted; not what file managers leave there."""
    return [
        file
        for file in sorted(folder.iterdir())
        if not file.name.startswith(".") and file.name.lower() not in LEFT_BEHIND
    ]


def file_of(folder: Path, frame: int) -> Path:
    """The file that holds the mask of a frame, for messages."""
    for file in list_files(folder):
        if frame_of_file(file) == frame:
            return file
    return folder


def frame_of_file(file: Path) -> int | None:
    """The frame that a label image's name stands for; None for another name or kind of file."""
    match = FRAME_NAME.fullmatch(file.stem) if file.suffix.lower() == ".png" else None
    return None if match is None else int(match[2])


def prefix_of_file(file: Path) -> str:
    """What a label image's name has in front of its frame; it may name the clip."""
    match = FRAME_NAME.fullmatch(file.stem)
    return (match[1] or "") if match else ""


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


def _read_mask(file: Path, canvas: Canvas) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file, formats=["PNG"]) as image:
            pages, turn = getattr(image, "n_frames", 1), image.getexif().get(TURN, 1)
            mode, mask = image.mode, np.array(image)
            palette = image.getpalette("RGB") if mode == "P" else None
        bits = file.read_bytes()[BIT_DEPTH]
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(
            file=file,
            found=f"not readable as PNG ({type(error).__name__})",
            expected="an 8-bit PNG label image",
            remedy="export the mask again",
        ) from error
    if pages > 1 or turn != 1:
        raise InputError(
            file=file,
            found=f"{pages} pictures in one file"
            if pages > 1
            else f"a mask that its EXIF turns (orientation {turn})",
            expected="one mask, as its pixels lie",
            remedy="save the mask again as a plain PNG",
        )
    if mode == "P":
        return read_indexed(mask, palette or [], canvas.classes, file)
    if mode == "1":
        return _read_bits(mask, canvas, file)
    if mode != "L":
        raise InputError(
            file=file,
            found=f"a PNG of mode {mode}",
            expected="an 8-bit grey or palette PNG, pixel value = label",
            remedy="export label values, not colours or an overlay",
        )
    # Grey values of 2 and 4 bits come spread over 0..255: 3 of 2 bits would read as 255.
    return mask // (255 // (2**bits - 1)) if bits < 8 else mask


def _read_bits(mask: np.ndarray, canvas: Canvas, file: Path) -> np.ndarray:
    """A mask of black and white: the structure, where there is but one class. Raises `InputError` for several."""
    if len(canvas.classes) == 1:
        ((name, value),) = canvas.classes.items()
        canvas.say(
            f"{file.parent.name} holds black and white masks: white is taken as {name}, the only class"
        )
        return np.where(mask, value, 0).astype(np.uint8)
    raise InputError(
        file=file,
        found="a black and white PNG (1 bit), which does not say which class is white",
        expected=f"an 8-bit grey or palette PNG with one value for each of {', '.join(canvas.classes)}",
        remedy="export label values; a mask of one structure gets the value of its class",
    )
