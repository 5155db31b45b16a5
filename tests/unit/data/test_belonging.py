"""Annotations reach a clip only where they name it: files, folders, prefixes, videos and tasks of several clips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotation_files import (
    CLASSES,
    RECTANGLE,
    TRIANGLE,
    coco,
    cvat_images,
    labelme,
    of,
    outline,
    polygon,
    tracked,
)
from PIL import Image
from raw_files import Cohort, draw_mask, write_mask

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.annotations import Canvas, read_annotations
from uscl_med3d.data.annotations.naming import name_clip
from uscl_med3d.data.ingest import ingest

ROWS = [
    ("P01_right", "P01", "videos/P01_right.mp4"),
    ("P01_left", "P01", "videos/P01_left.mp4"),
    ("P02", "P02", "videos/study/P02.avi"),
]


def canvas(sweep: str | None, frames: int = 4) -> Canvas:
    names = None
    if sweep is not None:
        own = next(row for row in ROWS if row[0] == sweep)
        names = name_clip(*own, [row for row in ROWS if row[0] != sweep])
    return Canvas(frames, 5, 6, CLASSES, None, names)


def images(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [
        {"id": 10 + n, "file_name": name, "height": 5, "width": 6, **more} for n, name in enumerate(names)
    ]


def found(path: Path, sweep: str | None, frames: int = 4) -> dict[int, list[int]] | str:
    """Frame -> labels, or `refused`."""
    try:
        masks = read_annotations(path, canvas(sweep, frames))
    except InputError as error:
        assert error.expected and error.remedy
        return "refused"
    return {frame: sorted(set(mask.ravel().tolist()) - {0}) for frame, mask in masks.items()}


NAMES = {
    "folders": ("P01_right/frame_0001.png", "P02/frame_0002.png"),
    "prefixes": ("P01_right_frame_0001.png", "P02_frame_0002.png"),
    "deep folders": ("images/train/P01-right/frame_0001.png", "images/val/p02/frame_0002.png"),
    "videos as folders": ("P01_right.mp4/frame_0001.png", "P02.avi/frame_0002.png"),
}


@pytest.mark.parametrize("kind", NAMES)
def test_coco_of_several_clips(tmp_path: Path, kind: str) -> None:
    path = coco(
        tmp_path / "all.json", [of(10, [RECTANGLE], 7), of(11, [TRIANGLE], 8)], images=images(*NAMES[kind])
    )
    assert found(path, "P01_right") == {1: [3]} and found(path, "P02") == {2: [1]}
    assert found(path, "P01_left") == "refused" and found(path, None) == "refused"
    with pytest.raises(InputError, match=r"annotations of 2 clips: .*P01.*, .*[Pp]02"):
        read_annotations(path, canvas(None))


def test_one_clip_in_a_file(tmp_path: Path) -> None:
    drawn = [of(10, [RECTANGLE], 7)]
    assert found(coco(tmp_path / "a.json", drawn, images=images("frame_0001.png")), "P02") == {1: [3]}
    assert found(coco(tmp_path / "b.json", drawn, images=images("P02/frame_0001.png")), "P02") == {1: [3]}
    assert found(coco(tmp_path / "c.json", drawn, images=images("P02/frame_0001.png")), None) == {1: [3]}
    for name in ("P01_right/frame_0001.png", "somebody_else_frame_0001.png", "P01/frame_0001.png"):
        path = coco(tmp_path / "d.json", drawn, images=images(name))
        assert found(path, "P02") == "refused", name
    # The patient has two clips, so its name alone tells neither.
    assert (
        found(coco(tmp_path / "e.json", drawn, images=images("P01/frame_0001.png")), "P01_left") == "refused"
    )


def test_an_image_of_another_clip_counts_without_a_shape_too(tmp_path: Path) -> None:
    names = ("P02/frame_0001.png", "P01_right/frame_0002.png")
    path = coco(tmp_path / "a.json", [of(10, [RECTANGLE], 7)], images=images(*names))
    assert found(path, "P01_right") == "refused" and found(path, "P02") == {1: [3]}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, {1: [3]}),
        ({"length": 4}, {1: [3]}),
        ({"length": 9}, "refused"),
        ({"width": 60, "height": 50}, "refused"),
        ({"name": "P01_left.mp4"}, "refused"),
        ({"name": "clip.mp4"}, {1: [3]}),  # names no clip
    ],
)
def test_videos_of_coco(tmp_path: Path, change: dict, expected: Any) -> None:
    videos = [{"id": 1, "name": "P01_right.mp4"} | change]
    path = coco(
        tmp_path / "a.json",
        [of(10, [RECTANGLE], 7)],
        images=images("frame_0001.png", video_id=1),
        videos=videos,
    )
    assert found(path, "P01_right") == expected


def test_two_videos_with_the_same_file_names(tmp_path: Path) -> None:
    pair = [{**images("frame_0001.png")[0], "id": 10 + n, "video_id": n} for n in range(2)]
    videos = [{"id": 0, "name": "P01_right"}, {"id": 1, "name": "P02"}]
    path = coco(
        tmp_path / "a.json", [of(10, [RECTANGLE], 7), of(11, [TRIANGLE], 8)], images=pair, videos=videos
    )
    assert found(path, "P01_right") == {1: [3]} and found(path, "P02") == {1: [1]}
    assert found(path, None) == "refused"


def test_two_numbers_of_one_frame(tmp_path: Path) -> None:
    drawn = [of(10, [RECTANGLE], 7)]
    assert found(coco(tmp_path / "a.json", drawn, images=images("frame_0001.png", frame_id=1)), None) == {
        1: [3]
    }
    assert (
        found(coco(tmp_path / "a.json", drawn, images=images("frame_0001.png", frame_id=3)), None)
        == "refused"
    )
    # All four frames counted from 1: the last one is none of the clip.
    names = [f"frame_{n:04d}.png" for n in (1, 2, 3, 4)]
    assert found(coco(tmp_path / "b.json", drawn, images=images(*names)), None) == "refused"


def test_labelme_folders_of_several_clips(tmp_path: Path) -> None:
    right = labelme(tmp_path / "a/P01_right_frame_0001.json", [outline("liver", RECTANGLE)])
    labelme(tmp_path / "a/P02_frame_0002.json", [outline("kidney", TRIANGLE)])
    assert found(right.parent, "P01_right") == {1: [3]} and found(right.parent, "P02") == {2: [5]}
    assert found(right.parent, "P01_left") == "refused" and found(right.parent, None) == "refused"
    one = labelme(
        tmp_path / "b/frame_0001.json", [outline("liver", RECTANGLE)], imagePath="..\\P02\\frame_0001.png"
    )
    assert found(one.parent, "P02") == {1: [3]} and found(one.parent, "P01_right") == "refused"
    assert found(one, "P02") == {1: [3]} and found(one, "P01_right") == "refused"
    two = labelme(
        tmp_path / "c/frame_0001.json", [outline("liver", RECTANGLE)], imagePath="../P02/frame_0003.png"
    )
    assert found(two, "P02") == "refused"  # two numbers


def test_label_images_with_a_prefix(tmp_path: Path) -> None:
    for name, value in (("P01_right_frame_0001.png", 3), ("P02_frame_0002.png", 5)):
        Image.fromarray(np.full((5, 6), value, np.uint8)).save(tmp_path / name)
    assert found(tmp_path, "P01_right") == {1: [3]} and found(tmp_path, "P02") == {2: [5]}
    assert found(tmp_path, "P01_left") == "refused" and found(tmp_path, None) == "refused"


def task(number: int, name: str, size: int, source: str = "", **facts: Any) -> str:
    facts = {
        "id": number,
        "name": name,
        "size": size,
        "mode": "interpolation",
        "start_frame": 0,
        "stop_frame": size - 1,
        "frame_filter": "",
        "source": source,
    } | facts
    fields = "".join(f"<{key}>{value}</{key}>" for key, value in facts.items())
    return f"<task>{fields}<original_size><width>6</width><height>5</height></original_size></task>"


def tracks(path: Path, meta: str, *shapes: tuple[str, str, str]) -> Path:
    """CVAT for video: shapes are (task id or "", label, shapes)."""
    body = "".join(
        f'<track id="{n}" label="{label}"{f" task_id={chr(34)}{number}{chr(34)}" if number else ""}>{drawn}</track>'
        for n, (number, label, drawn) in enumerate(shapes)
    )
    path.write_text(f"<annotations><version>1.1</version><meta>{meta}</meta>{body}</annotations>")
    return path


def project(*tasks: str) -> str:
    return f"<project><tasks>{''.join(tasks)}</tasks></project>"


def test_cvat_project_of_several_tasks(tmp_path: Path) -> None:
    meta = project(task(1, "right", 4, "P01_right.mp4"), task(2, "P02", 4, "P02.avi"))
    path = tracks(
        tmp_path / "a.xml", meta, ("1", "liver", tracked(1, RECTANGLE)), ("2", "kidney", tracked(2, TRIANGLE))
    )
    assert found(path, "P01_right") == {1: [3]} and found(path, "P02") == {2: [5]}
    assert found(path, "P01_left") == "refused" and found(path, None) == "refused"
    # Counted through all tasks: the second task's frames come behind the four of the first.
    through = tracks(
        tmp_path / "b.xml", meta, ("1", "liver", tracked(1, RECTANGLE)), ("2", "kidney", tracked(6, TRIANGLE))
    )
    assert found(through, "P01_right") == {1: [3]} and found(through, "P02") == {2: [5]}
    # Without saying which task.
    assert found(tracks(tmp_path / "c.xml", meta, ("", "liver", tracked(1, RECTANGLE))), "P02") == "refused"
    # Both ways of counting fit, and differ.
    uneven = project(task(1, "P01_right", 2), task(2, "P02", 40))
    both = tracks(tmp_path / "d.xml", uneven, ("2", "kidney", tracked(5, TRIANGLE)))
    assert found(both, "P02", 40) == "refused"


@pytest.mark.parametrize(
    ("facts", "frame", "frames", "expected"),
    [
        ({}, 2, 4, {2: [3]}),
        ({"source": "P02.avi"}, 2, 4, {2: [3]}),
        ({"source": "P01_left.mp4"}, 2, 4, "refused"),
        ({"source": "other.mp4"}, 2, 4, "refused"),
        ({"name": "P01_left"}, 2, 4, "refused"),
        ({"size": 9, "stop_frame": 8}, 2, 4, "refused"),  # longer than the clip
        ({"size": 3, "stop_frame": 2}, 2, 4, "refused"),  # shorter
        ({"size": 3, "stop_frame": 2, "source": "P02.avi"}, 2, 4, {2: [3]}),  # its end was left out
        ({"start_frame": 2, "size": 6, "stop_frame": 7}, 5, 8, {5: [3]}),  # numbers are the video's
        ({"start_frame": 2, "size": 6, "stop_frame": 7}, 1, 8, "refused"),  # before the task's start
        ({"frame_filter": "step=3", "size": 3, "stop_frame": 8}, 6, 9, {6: [3]}),
        ({"frame_filter": "step=3", "size": 3, "stop_frame": 8}, 2, 9, "refused"),  # not a frame of the task
        (
            {"frame_filter": "step=3", "size": 3, "stop_frame": 8},
            0,
            3,
            "refused",
        ),  # a clip of the task's frames alone
        ({"frame_filter": "every third"}, 2, 4, "refused"),
    ],
)
def test_cvat_task_with_offset_and_step(
    tmp_path: Path, facts: dict, frame: int, frames: int, expected: Any
) -> None:
    values = {"number": 7, "name": "batch 3", "size": 4} | facts
    path = tracks(tmp_path / "a.xml", task(**values), ("", "liver", tracked(frame, RECTANGLE)))
    assert found(path, "P02", frames) == expected


def test_cvat_images_of_several_tasks(tmp_path: Path) -> None:
    names = {
        "P01_right/frame_000001": polygon("liver", RECTANGLE),
        "P02/frame_000002": polygon("kidney", TRIANGLE),
    }
    path = cvat_images(tmp_path / "a.xml", names)
    assert (
        found(path, "P01_right") == {1: [3]}
        and found(path, "P02") == {2: [5]}
        and found(path, None) == "refused"
    )
    meta = f"<meta>{project(task(1, 'P01_right', 4), task(2, 'P02', 4))}</meta>"
    text = (
        f"<annotations><version>1.1</version>{meta}"
        f'<image id="1" name="frame_000001" task_id="1" width="6" height="5">{polygon("liver", RECTANGLE)}</image>'
        f'<image id="5" name="frame_000001" task_id="2" width="6" height="5">{polygon("kidney", TRIANGLE)}</image>'
        "</annotations>"
    )
    (tmp_path / "b.xml").write_text(text)
    assert found(tmp_path / "b.xml", "P01_right") == {1: [3]} and found(tmp_path / "b.xml", "P02") == {1: [5]}
    assert found(tmp_path / "b.xml", "P01_left") == "refused"


def run(cohort: Cohort, job: Any, out: Path) -> str:
    try:
        ingest(job, cohort.save(), out / "volumes", out / "splits.csv")
    except InputError as error:
        return str(error)
    return ""


def test_ingest_gives_each_sweep_its_own_shapes(cohort: Cohort, make_job, tmp_path: Path) -> None:
    for sweep in ("a", "b"):
        cohort.add(sweep, key_frames="")
        cohort.rows[-1]["key_frames"] = "all.json"
    block = [24, 20, 56, 20, 56, 44, 24, 44]
    listed = [
        {"id": n, "file_name": f"{'ab'[n % 2]}/frame_{n:04d}.png", "height": 64, "width": 80}
        for n in range(8)
    ]
    coco(cohort.folder / "all.json", [of(n, [block]) for n in range(8)], images=listed)
    assert run(cohort, make_job(), tmp_path) == ""
    for n, sweep in enumerate("ab"):
        sidecar = json.loads((tmp_path / f"volumes/{sweep}/sidecar.json").read_text())
        assert [entry["frame"] % 2 for entry in sidecar["key_frames"]] == [n] * 4


def test_the_masks_of_two_sweeps_are_not_the_same(cohort: Cohort, make_job, tmp_path: Path) -> None:
    cohort.add("a")
    cohort.add("b")
    cohort.rows[1]["key_frames"] = cohort.rows[0]["key_frames"]
    assert "the labels of several clips: a, b" in run(cohort, make_job(), tmp_path)
    # Label images whose names say the clip may lie in one folder.
    for sweep in ("a", "b"):
        cohort.rows["ab".index(sweep)]["key_frames"] = "together"
        for frame in (2, 5):
            path = write_mask(cohort.folder / "other", frame, draw_mask(3 if sweep == "a" else 5))
            (cohort.folder / "together").mkdir(exist_ok=True)
            path.rename(cohort.folder / f"together/{sweep}_{path.name}")
    assert run(cohort, make_job(), tmp_path) == ""
