"""What the readers of annotated key frames share: the clip they belong to, names of classes and frames, painting."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import list_data_files
from uscl_med3d.data.annotations.naming import ClipNames, split_name
from uscl_med3d.data.clips.base import Note
from uscl_med3d.data.volumes import ITK

IGNORE = 255  # "not annotated"
# "frame_0012", "S01_frame_12", "frame000012", "0012"; nothing else says which number is the frame.
FRAME_NAME = re.compile(r"(?:(.*)frame[_\- ]?)?(\d{1,9})", re.IGNORECASE)


@dataclass(frozen=True)
class Canvas:
    """The clip that annotations belong to, and the classes they may show (name -> label value).

    Attributes:
        affine: (4, 4) voxel (column, row, frame) -> RAS millimetres of the clip; None where it states no place.
        clip: names of the clip; None where nothing is known of it.
        spacing_mm: size of its pixels, (h, w), as the table or the file states it; None where neither does.
        notes: what the readers assumed is added here.
    """

    frames: int
    height: int
    width: int
    classes: Mapping[str, int]
    affine: np.ndarray | None = None
    clip: ClipNames | None = None
    notes: list[Note] = field(default_factory=list)
    spacing_mm: tuple[float, float] | None = None

    def say(self, text: str, changes_results: bool = True) -> None:
        """Add a note, once."""
        note = Note(text, changes_results)
        if note not in self.notes:
            self.notes.append(note)


@dataclass(frozen=True)
class Shape:
    """One drawn object: `area` is bool (h, w) on the clip's grid; later shapes lie over earlier ones."""

    frame: int
    name: str
    area: np.ndarray


def paint(shapes: Iterable[Shape], canvas: Canvas, file: Path) -> dict[int, np.ndarray]:
    """Frame -> label map uint8 (h, w); every frame with a shape is a key frame. Where classes overlap, it is said."""
    shapes = list(shapes)
    values = match_classes({shape.name for shape in shapes}, canvas.classes, file)
    masks: dict[int, np.ndarray] = {}
    covered: dict[int, int] = {}
    for shape in shapes:
        mask = masks.setdefault(shape.frame, np.zeros((canvas.height, canvas.width), np.uint8))
        covered[shape.frame] = covered.get(shape.frame, 0) + lay(mask, shape.area, values[shape.name])
    say_covered(covered, canvas, file)
    return masks


def lay(mask: np.ndarray, area: np.ndarray, value: int) -> int:
    """Give the pixels of an area a label; the number of those that another class had."""
    below = mask[area]
    covered = int(np.count_nonzero((below != 0) & (below != IGNORE) & (below != value)))
    mask[area] = value
    return covered


def say_covered(covered: Mapping[int, int], canvas: Canvas, file: Path) -> None:
    """Say where shapes of different classes overlap. covered: frame -> pixels that two of them claim."""
    frames = [frame for frame, count in sorted(covered.items()) if count]
    if frames:
        canvas.say(
            f"{file.name}: shapes of different classes overlap in {len(frames)} frame(s), first in frame {frames[0]} "
            f"({covered[frames[0]]} pixels): the shape that lies higher or comes later has them"
        )


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


def read_name(name: Any, file: Path) -> tuple[int, tuple[str, ...], str]:
    """The frame (from 0) that a file name stands for, the names of its clip, and how to show those.

    Folders in front of the name are never opened.
    """
    text = str(name).replace("\\", "/")
    if ".." in text.split("/") or text.startswith("/") or ":" in text:
        raise InputError(
            file=file,
            found=f"a path that leaves its folder: {name!r:.100}",
            expected="file names like frame_0012.png",
            remedy="export the annotations again with plain file names",
        )
    folder, _, last = text.rpartition("/")
    match = FRAME_NAME.fullmatch(last.split(".")[0])
    if match is None:
        raise InputError(
            file=file,
            found=f"file name {name!r:.100}",
            expected="names like frame_0012.png (frame 12, from 0)",
            remedy="name the exported frames after their number before annotating them",
        )
    prefix = match[1] or ""
    shown = "/".join(part for part in (folder, prefix.strip("_- ")) if part)
    return int(match[2]), (*split_name(folder), *split_name(prefix)), shown


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


def read_binary(masks: dict[int, np.ndarray], canvas: Canvas, file: Path) -> dict[int, np.ndarray]:
    """Masks of 0 and 255 alone as masks of the one class that there is.

    Many tools write "object" as 255, which is "not annotated" here; with a single class and no frame of 255 throughout there
    is nothing else that it can mean. Other masks are returned as they are.
    """
    if len(canvas.classes) != 1 or not masks:
        return masks
    values = set().union(*(np.unique(mask).tolist() for mask in masks.values()))
    if values != {0, IGNORE} or any((mask == IGNORE).all() for mask in masks.values()):
        return masks
    ((name, value),) = canvas.classes.items()
    canvas.say(f"{file.name} holds 0 and 255 alone: 255 is taken as {name}, the only class")
    return {frame: np.where(mask == IGNORE, value, mask).astype(np.uint8) for frame, mask in masks.items()}


def check_beside(file: Path) -> None:
    """Raise where the header of a label map names a file with its voxels that lies in another folder."""
    if not file.name.lower().endswith(ITK):
        return
    for name in list_data_files(file):
        if name != "LOCAL" and (".." in name or name.startswith(("/", "\\")) or ":" in name):
            raise damaged(
                file, f"a header that names {name!r:.100}", "voxels in the file itself or beside it"
            )


def refuse_shape(kind: Any, known: str, file: Path) -> InputError:
    """The error for a kind of shape that has no outline of the structure."""
    return InputError(
        file=file,
        found=f"a shape of type {kind!r:.60}",
        expected=f"{known}: an outline of the structure",
        remedy="draw the structure with one of these tools, or delete the shape",
    )


@contextmanager
def expecting(expected: str) -> Iterator[None]:
    """What a reader of volumes refuses, as the error of an annotation: with what was expected of it."""
    try:
        yield
    except InputError as error:
        raise damaged(Path(error.file), error.found, expected) from error


def damaged(file: Path, found: str, expected: str) -> InputError:
    """The error for a file that is not built as its format says."""
    return InputError(file=file, found=found, expected=expected, remedy="export the annotations again")


def _plain(name: Any) -> str:
    return re.sub(r"[\s_\-]+", "_", str(name).strip().lower())
