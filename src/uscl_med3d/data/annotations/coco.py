"""Key frames as one COCO JSON file: polygons, run lengths, compressed run lengths.

`file_name` says the frame (frame_0012.png). An image without annotations is not a key frame: tools list every
image of a task.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from uscl_med3d.core.io import read_json
from uscl_med3d.data.annotations.base import Canvas, Shape, check_size, damaged, frame_of, paint, refuse_shape
from uscl_med3d.data.annotations.raster import polygon_area, run_area, unpack_counts

EXPECTED = "a COCO JSON file (*.json)"
KINDS = "polygons or run lengths"


def read(path: Path, canvas: Canvas) -> dict[int, np.ndarray]:
    """Frame index -> label map uint8 (h, w). Raises `InputError`."""
    content = read_json(path)
    keys = ("images", "annotations", "categories")
    lists: list[Any] = [content.get(key) if isinstance(content, dict) else None for key in keys]
    if not all(isinstance(one, list) for one in lists):
        raise damaged(path, "no lists images, annotations and categories", "an object with these three lists")
    images, annotations, categories = lists
    by_image = {image["id"]: image for image in images}
    names = {category["id"]: str(category["name"]) for category in categories}
    frames: dict[int, Any] = {}
    shapes = []
    for annotation in annotations:
        number, category = annotation["image_id"], annotation["category_id"]
        if number not in by_image or category not in names:
            raise damaged(
                path,
                f"an annotation of image {number!r}, category {category!r}",
                "ids that images and categories list",
            )
        image = by_image[number]
        check_size(image["height"], image["width"], canvas, path)
        frame = frame_of(image["file_name"], canvas, path)
        if frames.setdefault(frame, number) != number:
            raise damaged(path, f"two images of frame {frame}", "one image per frame")
        shapes.append(Shape(frame, names[category], _area(annotation.get("segmentation"), canvas, path)))
    return paint(shapes, canvas, path)


def _area(segmentation: Any, canvas: Canvas, file: Path) -> np.ndarray:
    if isinstance(segmentation, dict):
        height, width = segmentation["size"]
        check_size(height, width, canvas, file)
        counts = segmentation["counts"]
        if isinstance(counts, str):
            counts = unpack_counts(counts, file)
        return run_area(counts, canvas.height, canvas.width, "F", file)
    if not isinstance(segmentation, list) or not segmentation:
        raise refuse_shape("bounding box only", KINDS, file)
    area = np.zeros((canvas.height, canvas.width), bool)
    for part in segmentation:  # the parts of one object
        if not isinstance(part, list) or len(part) % 2:
            raise damaged(file, f"a polygon {part!r:.80}", "x and y in turns")
        area |= polygon_area([part[at : at + 2] for at in range(0, len(part), 2)], canvas, file)
    return area


def file_of(path: Path, frame: int) -> Path:
    """The file that holds the mask of a frame, for messages."""
    return path
