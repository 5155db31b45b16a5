"""Key frames as LabelMe JSON: one file per frame, frame_0012.json, alone or in a folder.

Every file is a key frame, also one without shapes: nothing of any class is seen there. The prefix of a file, and the folder
and prefix of its image, say the clip. Label images beside the files are refused.
"""

from __future__ import annotations

import base64
import binascii
import io
from pathlib import Path
from typing import Any

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json
from uscl_med3d.data.annotations.base import (
    FRAME_NAME,
    IGNORE,
    Canvas,
    Shape,
    check_frame,
    check_size,
    damaged,
    paint,
    read_name,
    refuse_shape,
)
from uscl_med3d.data.annotations.naming import choose_group, list_mentioned, split_name
from uscl_med3d.data.annotations.raster import polygon_area

EXPECTED = "LabelMe JSON files, one per frame (frame_0012.json, or a folder of them)"
KINDS = "polygon or mask"


def read(path: Path, canvas: Canvas) -> dict[int, np.ndarray]:
    """Frame index -> label map uint8 (h, w). Raises `InputError`."""
    found: dict[tuple[str, ...], dict[int, tuple[Path, Any]]] = {}
    shown: dict[tuple[str, ...], str] = {}
    _refuse_masks(path, canvas)
    for file in list_files(path):
        content = _read_content(file)
        frame, names, text = _read_names(file, content, canvas)
        group = found.setdefault(names, {})
        if frame in group:
            raise damaged(file, f"a second file of frame {frame}", "one file per frame")
        group[frame] = file, content
        shown[names] = text or "(no name)"
    if not found:
        return {}
    masks: dict[int, np.ndarray] = {}
    for frame, (file, content) in found[choose_group(shown, canvas.clip, path)].items():
        check_frame(frame, canvas, file)
        painted = paint(_read_shapes(file, content, frame, canvas), canvas, file)
        masks[frame] = painted.get(frame, np.zeros((canvas.height, canvas.width), np.uint8))
    return masks


def list_files(path: Path) -> list[Path]:
    """The JSON files of a folder, or the file itself."""
    if path.is_file():
        return [path]
    return [
        file
        for file in sorted(path.iterdir())
        if file.suffix.lower() == ".json" and not file.name.startswith(".")
    ]


def file_of(path: Path, frame: int) -> Path:
    """The file that holds the mask of a frame, for messages."""
    for file in list_files(path):
        digits = file.stem.rsplit("_", 1)[-1]
        if digits.isdigit() and int(digits) == frame:
            return file
    return path


def _refuse_masks(path: Path, canvas: Canvas) -> None:
    """Raise `InputError` for label images beside LabelMe files: nobody says which of the two is meant.

    The pictures that were drawn on may lie there; they have other grey values than those of classes.
    """
    from PIL import Image

    known = [0, IGNORE, *canvas.classes.values()]
    for file in sorted(path.iterdir()) if path.is_dir() else []:
        if file.suffix.lower() != ".png" or file.name.startswith("."):
            continue
        try:
            with Image.open(file) as image:
                mask = np.array(image) if image.mode in ("L", "P") else None
        except Exception:  # not readable as a picture, so no mask that would be missed
            continue
        if mask is not None and np.isin(mask, known).all() and np.isin(mask, known[2:]).any():
            raise InputError(
                file=file,
                found="a label image beside LabelMe files",
                expected="annotations of one format in a folder",
                remedy="keep the right ones, and move the others out of the folder",
            )


def _read_content(file: Path) -> Any:
    content = read_json(file)
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        raise damaged(file, "no list shapes", "a LabelMe file with imageHeight, imageWidth and shapes")
    return content


def _read_names(file: Path, content: Any, canvas: Canvas) -> tuple[int, tuple[str, ...], str]:
    """Frame and clip by the names of the file and of the image that was drawn on."""
    frame, names, shown = read_name(file.name, file)
    path = str(content.get("imagePath") or "").replace("\\", "/")
    folder, _, last = path.rpartition("/")
    match = FRAME_NAME.fullmatch(last.split(".")[0])
    if match is not None and int(match[2]) != frame:
        raise damaged(file, f"a file of frame {frame} drawn on {last!r:.80}", "one number in both names")
    # Of the folders only the last can name a clip that is not in the cohort; the others are those of somebody's disk.
    image = (
        *split_name(folder.rpartition("/")[2]),
        *(split_name(match[1] or "") if match else ()),
        *list_mentioned(path, canvas.clip),
    )
    more = tuple(name for name in image if name not in names)
    return frame, (*names, *more), "/".join(dict.fromkeys(part for part in (*more, shown) if part))


def _read_shapes(file: Path, content: Any, frame: int, canvas: Canvas) -> list[Shape]:
    check_size(content["imageHeight"], content["imageWidth"], canvas, file)
    shapes = []
    for shape in content["shapes"]:
        kind = shape.get("shape_type", "polygon")
        if kind not in ("polygon", "mask"):
            raise refuse_shape(kind, KINDS, file)
        draw = polygon_area if kind == "polygon" else _mask_area
        area = draw(shape["points"] if kind == "polygon" else shape, canvas, file)
        shapes.append(Shape(frame, str(shape["label"]), area))
    return shapes


def _mask_area(shape: dict[str, Any], canvas: Canvas, file: Path) -> np.ndarray:
    """bool (h, w) of a PNG in base64 between two corner pixels, both included."""
    from PIL import Image

    (left, top), (right, bottom) = ((int(x), int(y)) for x, y in shape["points"])
    size = (right - left + 1, bottom - top + 1)
    if not (0 <= left <= right < canvas.width and 0 <= top <= bottom < canvas.height):
        found = f"a mask from ({left}, {top}) to ({right}, {bottom})"
        raise damaged(file, found, f"a mask inside the frame of {canvas.width} x {canvas.height} pixels")
    try:
        packed = base64.b64decode(shape["mask"], validate=True)
        with Image.open(io.BytesIO(packed), formats=["PNG"]) as image:
            if image.size != size or len(image.getbands()) != 1:
                found = f"a mask PNG of {image.size[0]} x {image.size[1]} pixels, mode {image.mode}"
                raise damaged(file, found, f"one grey channel of {size[0]} x {size[1]} pixels")
            part = np.array(image) > 0
    except (binascii.Error, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise damaged(file, f"a mask that is no PNG ({type(error).__name__})", "a PNG in base64") from error
    area = np.zeros((canvas.height, canvas.width), bool)
    area[top : bottom + 1, left : right + 1] = part
    return area
