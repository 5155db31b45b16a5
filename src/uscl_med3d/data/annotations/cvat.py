"""Key frames as CVAT XML 1.1, in both of its forms, of one task or of a project.

`for images`: polygons and masks of each <image>, whose name says the frame. An image without shapes is not a key
frame: CVAT lists every image of a task.
`for video`: tracks. Only shapes that a person drew (keyframe="1") are masks. Where another track of the same frame is
interpolated, its pixels are not annotated (255).
Which clip they are of is said by the task's name and video (<source>), and by folder and prefix of an image's name
(`naming`); how frames are numbered, by `cvat_tasks`.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.annotations.base import (
    IGNORE,
    Canvas,
    Shape,
    check_frame,
    check_size,
    damaged,
    lay,
    match_classes,
    paint,
    read_name,
    refuse_shape,
    say_covered,
)
from uscl_med3d.data.annotations.cvat_tasks import Task, check_task, list_tasks, number_frames
from uscl_med3d.data.annotations.naming import NUMBER, choose_group
from uscl_med3d.data.annotations.raster import polygon_area, run_area

EXPECTED = "a CVAT XML 1.1 file (*.xml)"
KINDS = "polygon or mask"
OUTLINED = ("polygon", "mask")
WITHOUT_PIXELS = ("tag", "attribute")

Names = tuple[str, ...]


def read(path: Path, canvas: Canvas) -> dict[int, np.ndarray]:
    """Frame index -> label map uint8 (h, w). Raises `InputError`."""
    root = _parse(path)
    tasks = list_tasks(root, path)
    if root.find("track") is not None:
        return _read_tracks(root, tasks, canvas, path)
    return _read_images(root, tasks, canvas, path)


def _read_images(
    root: ElementTree.Element, tasks: dict[str, Task], canvas: Canvas, path: Path
) -> dict[int, np.ndarray]:
    groups: dict[Names, list[tuple[int, ElementTree.Element]]] = {}
    shown: dict[Names, str] = {}
    for image in root.iter("image"):
        try:
            frame, names, text = read_name(image.attrib["name"], path)
        except InputError:
            if _drawn(image):
                raise
            continue
        task = _task_of(image, tasks)
        if task is not None:
            names, text = (*_key(task, tasks), *names), f"{task.label}: {text}" if text else task.label
        groups.setdefault(names, []).append((frame, image))
        shown[names] = text or "(no name)"
    if not groups:
        return {}
    own = groups[choose_group(shown, canvas.clip, path)]
    task = _task_of(own[0][1], tasks)
    if task is not None:
        check_task(task, canvas, path)
    shapes: list[Shape] = []
    seen: set[int] = set()
    for frame, image in own:
        if not (drawn := _drawn(image)):
            continue
        check_size(int(image.attrib["height"]), int(image.attrib["width"]), canvas, path)
        check_frame(frame, canvas, path)
        if task is not None and task.video and not task.shows(frame):
            raise damaged(
                path,
                f"image {image.attrib['name']!r:.80}, a frame that {task.label} does not have",
                task.expected,
            )
        if frame in seen:
            raise damaged(path, f"two images of frame {frame}", "one image per frame")
        seen.add(frame)
        for element in sorted(drawn, key=_height):
            shapes.append(Shape(frame, element.attrib["label"], _area(element, canvas, path)))
    return paint(shapes, canvas, path)


def _drawn(image: ElementTree.Element) -> list[ElementTree.Element]:
    return [element for element in image if element.tag not in WITHOUT_PIXELS]


def _task_of(element: ElementTree.Element, tasks: dict[str, Task]) -> Task | None:
    """The task of an image or track; None where the file tells of none, or of several and not of which."""
    number = element.attrib.get("task_id")
    if number is not None:
        return tasks.get(number) or Task(number)
    return next(iter(tasks.values())) if len(tasks) == 1 else None


def _key(task: Task, tasks: dict[str, Task]) -> Names:
    """Names of a task's clip. Alone in a file its name is a title, and only its video names a clip."""
    names = task.names if len(tasks) > 1 else task.video_names
    return (f"{NUMBER}{task.number}", *names)


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


def _read_tracks(
    root: ElementTree.Element, tasks: dict[str, Task], canvas: Canvas, path: Path
) -> dict[int, np.ndarray]:
    tracks: dict[Names, list[ElementTree.Element]] = {}
    shown: dict[Names, str] = {}
    for track in root.iter("track"):
        task = _task_of(track, tasks)
        if task is None and len(tasks) > 1:
            raise damaged(
                path, f"tracks of {len(tasks)} tasks without saying which", "a task_id for every track"
            )
        names = () if task is None else _key(task, tasks)
        tracks.setdefault(names, []).append(track)
        shown[names] = "(no name)" if task is None else task.label
    for task in tasks.values():  # those without a track are in the file, too
        shown.setdefault(_key(task, tasks), task.label)
    own = tracks.get(choose_group(shown, canvas.clip, path), [])
    if not own:
        return {}
    task = _task_of(own[0], tasks)
    _check_video(root, task, canvas, path)
    numbers = number_frames(list(root.iter("track")), tasks, task, canvas, path)
    drawn: dict[int, list[tuple[int, str, ElementTree.Element]]] = {}
    between: dict[int, list[ElementTree.Element]] = {}
    for track in own:
        for element in track:
            if element.tag in WITHOUT_PIXELS or element.attrib.get("outside") == "1":
                continue
            frame = check_frame(numbers(int(element.attrib["frame"])), canvas, path)
            if element.attrib.get("keyframe") == "1":
                drawn.setdefault(frame, []).append((_height(element), track.attrib["label"], element))
            else:
                between.setdefault(frame, []).append(element)
    values = match_classes({name for shapes in drawn.values() for _, name, _ in shapes}, canvas.classes, path)
    masks = {}
    covered: dict[int, int] = {}
    for frame, shapes in drawn.items():
        mask = np.zeros((canvas.height, canvas.width), np.uint8)
        for element in between.get(frame, []):
            mask[_area(element, canvas, path)] = IGNORE
        for _, name, element in sorted(shapes, key=lambda shape: shape[0]):
            covered[frame] = covered.get(frame, 0) + lay(mask, _area(element, canvas, path), values[name])
        masks[frame] = mask
    say_covered(covered, canvas, path)
    return masks


def _check_video(root: ElementTree.Element, task: Task | None, canvas: Canvas, path: Path) -> None:
    """Size and length of the video that the tracks were drawn on."""
    if task is not None:
        check_task(task, canvas, path)
    if task is None or task.width is None:
        size = next(root.iter("original_size"), None)
        if size is None:
            raise damaged(path, "no original_size", "the size of the video in <meta>")
        check_size(int(size.findtext("height", "0")), int(size.findtext("width", "0")), canvas, path)


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
