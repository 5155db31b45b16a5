"""Key frames as one COCO JSON file: polygons, run lengths, compressed run lengths.

`file_name` says the frame (frame_0012.png), and its folder, its prefix or the list `videos` the clip. An image without
annotations is not a key frame: tools list every image of a task.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json
from uscl_med3d.data.annotations.base import (
    Canvas,
    Shape,
    check_frame,
    check_size,
    damaged,
    paint,
    read_name,
    refuse_shape,
)
from uscl_med3d.data.annotations.naming import NUMBER, choose_group, list_mentioned, split_name
from uscl_med3d.data.annotations.raster import polygon_area, run_area, unpack_counts

EXPECTED = "a COCO JSON file (*.json)"
KINDS = "polygons or run lengths"
NUMBERS = ("frame_id", "frame_index", "frame_number")  # of an image in its video

PATHS = ("path", "coco_url")  # where tools put the place of an image on the disk or server they ran on


def read(path: Path, canvas: Canvas) -> dict[int, np.ndarray]:
    """Frame index -> label map uint8 (h, w). Raises `InputError`."""
    content = read_json(path)
    keys = ("images", "annotations", "categories")
    lists: list[Any] = [content.get(key) if isinstance(content, dict) else None for key in keys]
    if not all(isinstance(one, list) for one in lists):
        raise damaged(path, "no lists images, annotations and categories", "an object with these three lists")
    images, annotations, categories = lists
    annotated = {annotation["image_id"] for annotation in annotations}
    own = _choose_images(images, annotated, content.get("videos") or [], canvas, path)
    listed = {image["id"] for image in images}
    names = {category["id"]: str(category["name"]) for category in categories}
    shapes = []
    for annotation in annotations:
        number, category = annotation["image_id"], annotation["category_id"]
        if number not in listed or category not in names:
            raise damaged(
                path,
                f"an annotation of image {number!r}, category {category!r}",
                "ids that images and categories list",
            )
        if number in own:
            area = _area(annotation.get("segmentation"), canvas, path)
            shapes.append(Shape(own[number], names[category], area))
    return paint(shapes, canvas, path)


def _choose_images(
    images: list[Any], annotated: set[Any], videos: list[Any], canvas: Canvas, path: Path
) -> dict[Any, int]:
    """Image id -> frame of the images that belong to the clip, the size and number of which are checked."""
    by_id = {video["id"]: video for video in videos}
    found: dict[tuple[str, ...], dict[Any, tuple[int, Any]]] = {}
    shown: dict[tuple[str, ...], str] = {}
    if len({image["id"] for image in images}) < len(images):
        raise damaged(path, "two images of one id", "an id for every image")
    for image in images:
        try:
            frame, names, text = read_name(image["file_name"], path)
        except InputError:
            if image["id"] in annotated:
                raise
            continue
        video = by_id.get(image.get("video_id"))
        if video is not None:
            name = str(video.get("name") or video.get("file_name") or video["id"])
            names, text = (f"{NUMBER}{video['id']}", *split_name(name), *names), f"video {name}"
        elif image.get("video_id") is not None:
            names, text = (f"{NUMBER}{image['video_id']}", *names), f"video {image['video_id']}"
        for key in PATHS:
            if more := list_mentioned(str(image.get(key) or ""), canvas.clip):
                names, text = tuple(dict.fromkeys((*names, *more))), text or more[0]
        found.setdefault(names, {})[image["id"]] = frame, image
        shown[names] = text or "(no name)"
    if not found:
        return {}
    chosen = choose_group(shown, canvas.clip, path)
    frames: dict[int, Any] = {}
    for number, (frame, image) in found[chosen].items():
        check_size(image["height"], image["width"], canvas, path)
        _check_number(image, check_frame(frame, canvas, path), path)
        if frames.setdefault(frame, number) != number:
            raise damaged(path, f"two images of frame {frame}", "one image per frame")
    _check_lengths(by_id, found[chosen], canvas, path)
    return {number: frame for number, (frame, _) in found[chosen].items()}


def _check_number(image: Any, frame: int, path: Path) -> None:
    for key in NUMBERS:
        if image.get(key) is not None and image[key] != frame:
            raise damaged(
                path,
                f"image {image['file_name']!r:.80} with {key} {image[key]!r}: two numbers of one frame",
                "frames counted from 0 in names and numbers alike",
            )


def _check_lengths(
    videos: Mapping[Any, Any], images: Mapping[Any, tuple[int, Any]], canvas: Canvas, path: Path
) -> None:
    """A video that the file lists has as many frames as the clip, and its size."""
    for number in {image.get("video_id") for _, image in images.values()}:
        video = videos.get(number) or {}
        length = next(
            (video[key] for key in ("length", "frames", "num_frames") if video.get(key)), canvas.frames
        )
        if length != canvas.frames:
            raise damaged(
                path, f"annotations of a video of {length!r} frames", f"the clip's {canvas.frames} frames"
            )
        if video.get("height") and video.get("width"):
            check_size(video["height"], video["width"], canvas, path)


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
