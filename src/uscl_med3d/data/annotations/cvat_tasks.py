"""Tasks of a CVAT export: which video each is of, and how its frames are numbered.

A task may leave out the start of its video and take every n-th frame. Its own export numbers frames by the video
(start + n * step). Exports of projects were written in two ways: by the video as well, or counted through all tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.annotations.base import Canvas, check_size, damaged
from uscl_med3d.data.annotations.naming import VIDEO_SUFFIX, split_name

STEP = "step="


@dataclass(frozen=True)
class Task:
    """One task. size: frames that it shows; stop: its last frame in the video; None where the export does not say."""

    number: str
    name: str = ""
    source: str = ""
    video: bool = False
    size: int | None = None
    start: int = 0
    stop: int | None = None
    step: int = 1
    width: int | None = None
    height: int | None = None

    @property
    def label(self) -> str:
        """For messages."""
        return f"task {self.name or self.number}" + (f" ({self.source})" if self.source else "")

    @property
    def video_names(self) -> tuple[str, ...]:
        """Names by its video file."""
        return split_name(self.source) if VIDEO_SUFFIX.search(self.source) else ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names by its video file and its own name."""
        return tuple(dict.fromkeys((*self.video_names, *split_name(self.name))))

    @property
    def expected(self) -> str:
        """For messages: the frames that it has."""
        return f"frames {self.start} + n * {self.step}" + (
            f" up to {self.stop}" if self.stop is not None else ""
        )

    def shows(self, frame: int) -> bool:
        """Whether a number may be a frame of the task by the count of its video."""
        inside = frame >= self.start and (self.stop is None or frame <= self.stop)
        return inside and (frame - self.start) % self.step == 0


def list_tasks(root: ElementTree.Element, path: Path) -> dict[str, Task]:
    """Id -> task, in the order of the file. Raises `InputError`."""
    meta = root.find("meta")
    if meta is None:
        return {}
    project = meta.find("project/tasks")
    found = list(project.iter("task")) if project is not None else meta.findall("task") or meta.findall("job")
    tasks = [_read_task(element, meta, path) for element in found]
    return {task.number: task for task in tasks}


def check_task(task: Task, canvas: Canvas, path: Path) -> None:
    """Raise `InputError` where a task of a video cannot be of this clip: by its size or its length."""
    if task.width is not None and task.height is not None:
        check_size(task.height, task.width, canvas, path)
    named = canvas.clip is not None and any(name in canvas.clip.own for name in task.names)
    if task.stop is not None and task.stop >= canvas.frames:
        raise _refuse(path, f"{task.label}, whose frames reach to {task.stop}", canvas)
    if canvas.clip is not None and not named and any(name in canvas.clip.others for name in task.names):
        raise _refuse(path, f"{task.label}, which is another clip of the cohort", canvas)
    whole = task.video and task.size is not None and (task.start, task.step) == (0, 1)
    if whole and task.size != canvas.frames and not named:
        raise _refuse(path, f"{task.label} of {task.size} frames", canvas)


def number_frames(
    tracks: Sequence[ElementTree.Element],
    tasks: dict[str, Task],
    task: Task | None,
    canvas: Canvas,
    path: Path,
) -> Callable[[int], int]:
    """From a number in the file to the frame of the clip.

    Raises:
        InputError: where the numbers fit no way of counting, or two that differ.
    """
    if task is None:
        return lambda frame: frame
    offsets, start = {}, 0
    for number, one in tasks.items():
        offsets[number] = start
        start += one.size or 0
    by_video = all(tasks[number].shows(frame) for number, frame in _numbers(tracks, tasks))
    counted = len(tasks) > 1 and all(one.size for one in tasks.values())
    through = counted and all(
        0 <= frame - offsets[number] < (tasks[number].size or 0) for number, frame in _numbers(tracks, tasks)
    )
    shift, same = offsets.get(task.number, 0), (task.start, task.step) == (0, 1)
    if by_video and through and not (shift == 0 and same):
        raise damaged(
            path,
            f"frames of {task.label} that may be counted by the video or through all tasks",
            "an export of the task itself",
        )
    if by_video:
        if not same:
            canvas.say(
                f"{task.label} shows frames {task.start} + n * {task.step} of its video: numbers are the video's",
                False,
            )
        return lambda frame: frame
    if through:
        return lambda frame: (frame - shift) * task.step + task.start
    raise damaged(
        path,
        f"frames that {task.label} (from {task.start} in steps of {task.step} to {task.stop}) does not have",
        "frames by the count of the task's video",
    )


def _numbers(tracks: Sequence[ElementTree.Element], tasks: dict[str, Task]) -> list[tuple[str, int]]:
    first = next(iter(tasks), "")
    return [
        (track.attrib.get("task_id", first), int(shape.attrib["frame"]))
        for track in tracks
        if track.attrib.get("task_id", first) in tasks
        for shape in track
        if "frame" in shape.attrib
    ]


def _read_task(element: ElementTree.Element, meta: ElementTree.Element, path: Path) -> Task:
    def number(name: str) -> int | None:
        text = (element.findtext(name) or "").strip()
        return int(text) if text.lstrip("-").isdigit() else None

    rule = "".join((element.findtext("frame_filter") or "").split())
    if rule and not (rule.startswith(STEP) and rule[len(STEP) :].isdigit() and int(rule[len(STEP) :])):
        raise damaged(path, f"frame_filter {rule!r:.60}", "step=N")
    step = int(rule[len(STEP) :]) if rule else 1
    own = element.find("original_size")
    size = own if own is not None else meta.find("original_size")
    frames, start, stop = number("size"), number("start_frame") or 0, number("stop_frame")
    if stop is None and frames is not None:
        stop = start + (frames - 1) * step
    video = size is not None or (element.findtext("mode") or "") == "interpolation"
    return Task(
        number=(element.findtext("id") or "").strip() or "0",
        name=(element.findtext("name") or "").strip(),
        source=(element.findtext("source") or meta.findtext("source") or "").strip(),
        video=video,
        size=frames,
        start=start,
        stop=stop if video else None,
        step=step,
        width=int(size.findtext("width", "0")) if size is not None else None,
        height=int(size.findtext("height", "0")) if size is not None else None,
    )


def _refuse(path: Path, found: str, canvas: Canvas) -> InputError:
    return InputError(
        file=path,
        found=found[:300],
        expected=f"annotations of this clip, which has frames 0 to {canvas.frames - 1}",
        remedy="name the right annotation in cohort.csv, or export the task of the whole clip; "
        "`uscl-med3d inspect` shows what a file holds",
    )
