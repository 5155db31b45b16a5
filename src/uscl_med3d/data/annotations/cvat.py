"""Key frames as CVAT XML 1.1, in both of its forms.

`for images`: polygons and masks of each <image>, whose name says the frame. An image without shapes is not a key
frame: CVAT lists every image of a task.
`for video`: tracks. Only shapes that a person drew (keyframe="1") are masks. Where another track of the same frame is
interpolated, its pixels are not annotated (255).
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from uscl_med3d.data.annotations.base import (
    IGNORE,
    Canvas,
    Shape,
    check_frame,
    check_size,
    damaged,
    frame_of,
    match_classes,
    paint,
    refuse_shape,
)
from uscl_med3d.data.annotations.raster import polygon_area, run_area

EXPECTED = "a CVAT XML 1.1 file (*.xml)"
KINDS = "polygon or mask"
OUTLINED = ("polygon", "mask")
WITHOUT_PIXELS = ("tag", "attribute")


def read(path: Path, canvas: Canvas) -> dict[int, np.ndarray]:
    """Frame index -> label map uint8 (h, w). Raises `InputError`."""
    root = _parse(path)
    if root.find("track") is not None:
        return _read_tracks(root, canvas, path)
    shapes: list[Shape] = []
    seen: set[int] = set()
    for image in root.iter("image"):
        drawn = [element for element in image if element.tag not in WITHOUT_PIXELS]
        if not drawn:
            continue
        check_size(int(image.attrib["height"]), int(image.attrib["width"]), canvas, path)
        frame = frame_of(image.attrib["name"], canvas, path)
        if frame in seen:
            raise damaged(path, f"two images of frame {frame}", "one image per frame")
        seen.add(frame)
        for element in sorted(drawn, key=_height):
            shapes.append(Shape(frame, element.attrib["label"], _area(element, canvas, path)))
    return paint(shapes, canvas, path)


def file_of(path: Path, frame: int) -> Path:
    """The file that holds the mask of a frame, for messages."""
    return path


def _parse(path: Path) -> ElementTree.Element:
    expected = "<annotations> as CVAT exports it, version 1.1"
    try:
        text = path.read_bytes()
        # Entities can grow without bound, or name other files; CVAT writes none.
        if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
            raise damaged(path, "a document type or entity declaration", expected)
        root = ElementTree.fromstring(text)
    except (OSError, ElementTree.ParseError, ValueError, LookupError) as error:
        raise damaged(path, f"not readable as XML ({error})"[:200], expected) from error
    if root.tag != "annotations":
        raise damaged(path, f"<{root.tag}>"[:80], expected)
    return root


def _read_tracks(root: ElementTree.Element, canvas: Canvas, path: Path) -> dict[int, np.ndarray]:
    size = next(root.iter("original_size"), None)
    if size is None:
        raise damaged(path, "no original_size", "the size of the video in <meta>")
    check_size(int(size.findtext("height", "0")), int(size.findtext("width", "0")), canvas, path)
    drawn: dict[int, list[tuple[int, str, ElementTree.Element]]] = {}
    between: dict[int, list[ElementTree.Element]] = {}
    for track in root.iter("track"):
        for element in track:
            if element.tag in WITHOUT_PIXELS or element.attrib.get("outside") == "1":
                continue
            frame = check_frame(int(element.attrib["frame"]), canvas, path)
            if element.attrib.get("keyframe") == "1":
                drawn.setdefault(frame, []).append((_height(element), track.attrib["label"], element))
            else:
                between.setdefault(frame, []).append(element)
    values = match_classes({name for shapes in drawn.values() for _, name, _ in shapes}, canvas.classes, path)
    masks = {}
    for frame, shapes in drawn.items():
        mask = np.zeros((canvas.height, canvas.width), np.uint8)
        for element in between.get(frame, []):
            mask[_area(element, canvas, path)] = IGNORE
        for _, name, element in sorted(shapes, key=lambda shape: shape[0]):
            mask[_area(element, canvas, path)] = values[name]
        masks[frame] = mask
    return masks


def _height(element: ElementTree.Element) -> int:
    return int(element.attrib.get("z_order", 0))


def _area(element: ElementTree.Element, canvas: Canvas, file: Path) -> np.ndarray:
    if element.tag == "polygon":
        pairs = [pair.split(",") for pair in element.attrib["points"].split(";")]
        return polygon_area([[float(number) for number in pair] for pair in pairs], canvas, file)
    if element.tag not in OUTLINED:
        raise refuse_shape(element.tag, KINDS, file)
    left, top, width, height = (int(element.attrib[key]) for key in ("left", "top", "width", "height"))
    if min(left, top) < 0 or left + width > canvas.width or top + height > canvas.height:
        found = f"a mask of {width} x {height} pixels at ({left}, {top})"
        raise damaged(file, found, f"a mask inside the frame of {canvas.width} x {canvas.height} pixels")
    counts = [int(count) for count in element.attrib["rle"].split(",")]
    area = np.zeros((canvas.height, canvas.width), bool)
    area[top : top + height, left : left + width] = run_area(counts, height, width, "C", file)
    return area
