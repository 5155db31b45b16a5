"""What the readers of annotated key frames share: the clip they belong to, names of classes and frames, painting."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uscl_med3d.core.errors import InputError

IGNORE = 255  # "not annotated"
# "frame_0012", "S01_frame_12", "frame000012", "0012"; nothing else says which number is the frame.
FRAME_NAME = re.compile(r"(?:.*frame[_\- ]?)?(\d{1,9})", re.IGNORECASE)


@dataclass(frozen=True)
class Canvas:
    """The clip that annotations belong to, and the classes they may show (name -> label value)."""

    frames: int
    height: int
    width: int
    classes: Mapping[str, int]


@dataclass(frozen=True)
class Shape:
    """One drawn object: `area` is bool (h, w) on the clip's grid; later shapes lie over earlier ones."""

    frame: int
    name: str
    area: np.ndarray


def paint(shapes: Iterable[Shape], canvas: Canvas, file: Path) -> dict[int, np.ndarray]:
    """Frame -> label map uint8 (h, w); every frame with a shape is a key frame."""
    shapes = list(shapes)
    values = match_classes({shape.name for shape in shapes}, canvas.classes, file)
    masks: dict[int, np.ndarray] = {}
    for shape in shapes:
        mask = masks.setdefault(shape.frame, np.zeros((canvas.height, canvas.width), np.uint8))
        mask[shape.area] = values[shape.name]
    return masks


def match_classes(names: Iterable[str], classes: Mapping[str, int], file: Path) -> dict[str, int]:
    """Name in the file -> label value. Case, spaces, hyphens and underscores do not matter."""
    known = {_plain(name): value for name, value in classes.items()}
    names = sorted(set(names))
    unknown = [name for name in names if _plain(name) not in known]
    if unknown:
        raise InputError(
            file=file,
            found=f"class name(s) {', '.join(map(repr, unknown))}",
            expected=f"names of `classes` in the parameters: {', '.join(classes)}",
            remedy="rename the class in the annotation tool, or add it to `classes`",
        )
    return {name: known[_plain(name)] for name in names}


def frame_of(name: Any, canvas: Canvas, file: Path) -> int:
    """The frame (from 0) that a file name stands for; folders in front are dropped, never opened."""
    text = str(name).replace("\\", "/")
    if ".." in text.split("/") or text.startswith("/") or ":" in text:
        raise InputError(
            file=file,
            found=f"a path that leaves its folder: {name!r:.100}",
            expected="file names like frame_0012.png",
            remedy="export the annotations again with plain file names",
        )
    stem = text.rsplit("/", 1)[-1].split(".")[0]
    match = FRAME_NAME.fullmatch(stem)
    if match is None:
        raise InputError(
            file=file,
            found=f"file name {name!r:.100}",
            expected="names like frame_0012.png (frame 12, from 0)",
            remedy="name the exported frames after their number before annotating them",
        )
    return check_frame(int(match.group(1)), canvas, file)


def check_frame(frame: int, canvas: Canvas, file: Path) -> int:
    """`frame`, if the clip has it."""
    if 0 <= frame < canvas.frames:
        return frame
    raise InputError(
        file=file,
        found=f"a mask of frame {frame}",
        expected=f"frames 0 to {canvas.frames - 1} of the clip",
        remedy="count frames from 0, or correct which clip the key frames belong to",
    )


def check_size(height: Any, width: Any, canvas: Canvas, file: Path) -> None:
    """Raise where an annotated image has another size than the clip; asked before anything is allocated."""
    if (height, width) != (canvas.height, canvas.width):
        raise InputError(
            file=file,
            found=f"{width} x {height} pixels",
            expected=f"{canvas.width} x {canvas.height} pixels, the size of the clip",
            remedy="annotate the exported frame itself, without cropping or scaling",
        )


def refuse_shape(kind: Any, known: str, file: Path) -> InputError:
    """The error for a kind of shape that has no outline of the structure."""
    return InputError(
        file=file,
        found=f"a shape of type {kind!r:.60}",
        expected=f"{known}: an outline of the structure",
        remedy="draw the structure with one of these tools, or delete the shape",
    )


def damaged(file: Path, found: str, expected: str) -> InputError:
    """The error for a file that is not built as its format says."""
    return InputError(file=file, found=found, expected=expected, remedy="export the annotations again")


def _plain(name: Any) -> str:
    return re.sub(r"[\s_\-]+", "_", str(name).strip().lower())
