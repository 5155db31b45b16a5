"""Bad raw files: one message names the file, what was found, expected and what to do; nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from raw_files import Cohort, draw_mask, write_mask

from uscl_med3d.core.errors import InputError, InputErrors
from uscl_med3d.core.io import save_volume
from uscl_med3d.data.ingest import ingest


def truncate(cohort: Cohort) -> None:
    path = cohort.folder / "videos/bad.mp4"
    path.write_bytes(path.read_bytes()[:500])


def save_reference(array: np.ndarray) -> Callable[[Cohort], None]:
    def change(cohort: Cohort) -> None:
        save_volume(cohort.folder / "truth.nii.gz", array, (1.0, 1.0, 1.0))
        cohort.rows[-1]["reference"] = "truth.nii.gz"

    return change


def edit(**cells: str) -> Callable[[Cohort], None]:
    return lambda cohort: cohort.rows[-1].update(cells)


def mask(frame: int, values: np.ndarray) -> Callable[[Cohort], None]:
    return lambda cohort: write_mask(cohort.folder / "masks/bad", frame, values) and None


def blank_masks(cohort: Cohort) -> None:
    for frame in (1, 4, 6, 8):
        write_mask(cohort.folder / "masks/bad", frame, draw_mask(0))


def colour_mask(cohort: Cohort) -> None:
    Image.new("RGB", (80, 64)).save(cohort.folder / "masks/bad/frame_0002.png")


def masks_outside(cohort: Cohort) -> None:
    values = np.zeros((64, 80), np.uint8)
    values[:, :8] = 3
    for frame in (1, 4, 6, 8):
        write_mask(cohort.folder / "masks/bad", frame, values)


WRONG = draw_mask(3)
WRONG[0, 0], WRONG[1, 1] = 9, 200

CASES: dict[str, tuple[Callable[[Cohort], object], str, str, str]] = {
    # what is done: (change, file named, found, expected)
    "video missing": (edit(video="videos/none.mp4"), "videos/none.mp4", "no such file", "a sweep clip"),
    "video is a folder": (edit(video="videos"), "videos", "a folder", "a sweep clip"),
    "video truncated": (truncate, "videos/bad.mp4", "not readable as a video", "a whole video"),
    "key frame beyond the end": (
        mask(10, draw_mask()),
        "frame_0010.png",
        "a mask of frame 10",
        "frames 0 to 9",
    ),
    "mask of another size": (
        mask(4, np.zeros((80, 64))),
        "frame_0004.png",
        "64 x 80 pixels",
        "80 x 64 pixels",
    ),
    "unknown label": (mask(4, WRONG), "frame_0004.png", "label value(s) 9, 200", "1 pleural_effusion"),
    "mask in colour": (colour_mask, "frame_0002.png", "mode RGB", "8-bit grey"),
    "no label at all": (blank_masks, "masks/bad", "without a single labelled pixel", "at least one class"),
    "labels outside the image": (masks_outside, "masks/bad", "100% of the labelled pixels", "at most 20%"),
    "key frames missing": (edit(key_frames="masks/none"), "masks/none", "no such folder", "frame_0012.png"),
    "mask of another name": (
        lambda cohort: (cohort.folder / "masks/bad/mask.png").write_bytes(b""),
        "masks/bad/mask.png",
        "'mask.png'",
        "names like frame_0012.png",
    ),
    "mask is no image": (
        lambda cohort: (cohort.folder / "masks/bad/frame_0002.png").write_bytes(b"x"),
        "frame_0002.png",
        "not readable as PNG",
        "8-bit PNG",
    ),
    "frame masked twice": (
        lambda cohort: Image.fromarray(draw_mask()).save(cohort.folder / "masks/bad/frame_04.png"),
        "frame_04.png",
        "a second mask of frame 4",
        "one mask per frame",
    ),
    "reference missing": (edit(reference="none.nii.gz"), "none.nii.gz", "no such file", "NIfTI label map"),
    "reference on another grid": (
        save_reference(np.zeros((9, 64, 80), np.uint8)),
        "truth.nii.gz",
        "80 x 64 x 9",
        "80 x 64 x 10",
    ),
    "reference with unknown labels": (
        save_reference(np.full((10, 64, 80), 77, np.uint8)),
        "truth.nii.gz",
        "label value(s) 77",
        "1 pleural_effusion",
    ),
    "patient in two splits": (
        edit(patient="p_good", split="test"),
        "cohort.csv",
        "patient 'p_good' in the splits test, train",
        "one split",
    ),
    "sweep twice": (edit(sweep="good"), "cohort.csv", "sweep 'good' on lines 2, 3", "one row per sweep id"),
    "path traversal": (edit(sweep="../bad"), "cohort.csv", "sweep is '../bad'", "letters, digits"),
    "spacing with a unit": (
        edit(spacing_mm="0.3 mm"),
        "cohort.csv",
        "spacing_mm is '0.3 mm'",
        "positive number",
    ),
}


@pytest.fixture
def two_sweeps(cohort: Cohort) -> Cohort:
    cohort.add("good", split="train")
    cohort.add("bad")
    return cohort


def attempt(cohort: Cohort, job, out: Path) -> str:
    with pytest.raises(InputError) as caught:
        ingest(job, cohort.save(), out / "volumes", out / "splits.csv")
    return str(caught.value)


@pytest.mark.parametrize("case", CASES)
def test_message_and_nothing_written(two_sweeps: Cohort, make_job, tmp_path: Path, case: str) -> None:
    change, file, found, expected = CASES[case]
    change(two_sweeps)
    message = attempt(two_sweeps, make_job(), tmp_path / "out")
    for part in (file, found, expected, "remedy:"):
        assert part in message
    assert "1 unusable input(s)" in message
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_finished_outputs_survive_a_failed_run(two_sweeps: Cohort, make_job, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ingest(make_job(), two_sweeps.save(), out / "volumes", out / "splits.csv")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    truncate(two_sweeps)
    attempt(two_sweeps, make_job(), out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_problems_of_all_sweeps_and_of_the_table_come_together(
    two_sweeps: Cohort, make_job, tmp_path: Path
) -> None:
    two_sweeps.add("third", probe="curved")
    (two_sweeps.folder / "videos/good.mp4").unlink()
    write_mask(two_sweeps.folder / "masks/bad", 4, WRONG)
    write_mask(two_sweeps.folder / "masks/bad", 99, draw_mask())
    out = tmp_path / "out"
    with pytest.raises(InputErrors) as caught:
        ingest(make_job(workers=2), two_sweeps.save(), out / "volumes", out / "splits.csv")
    assert len(caught.value.errors) == 4
    for part in ("probe is 'curved'", "good.mp4", "frame_0004.png", "frame_0099.png"):
        assert part in str(caught.value)
    assert not (out / "splits.csv").exists() and not (out / "volumes").exists()
