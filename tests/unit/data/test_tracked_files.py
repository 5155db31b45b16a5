"""`reconstruct` on sequences that make no volume, and on tracker and images in two files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from tracked_files import SIZE, hand_poses, see, text, write_calibration, write_sweep

from uscl_med3d import cli

POSES = hand_poses()
CLOCK = {f"Seq_Frame{n:04d}_Timestamp": f"{100 + 0.1 * n:.3f}" for n in range(len(POSES))}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is no checkout: the command needs nothing from one."""
    monkeypatch.chdir(tmp_path)
    write_calibration(tmp_path / "a.calibration.xml")
    return tmp_path


def reconstruct(*options: str) -> tuple[int, np.ndarray | None]:
    Path("v.mha").unlink(missing_ok=True)
    code = cli.main(["reconstruct", "a.igs.mha", "-o", "v.mha", "--spacing-mm", "1", *options])
    made = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage("v.mha")) if Path("v.mha").is_file() else None
    return code, made


def tracker_alone(path: Path, fields: dict[str, str] | None = None) -> None:
    write_sweep(path, POSES, np.zeros((len(POSES), 1, 1), np.uint8), fields)


def images_alone(path: Path, frames: np.ndarray, times: dict[str, str]) -> None:
    image = SimpleITK.GetImageFromArray(frames)
    for key, value in times.items():
        image.SetMetaData(key, value)
    SimpleITK.WriteImage(image, str(path))


STILL = {f"Seq_Frame{n:04d}_ProbeToTrackerTransform": text(np.eye(4)) for n in range(len(POSES))} | {
    f"Seq_Frame{n:04d}_ReferenceToTrackerTransform": text(np.eye(4)) for n in range(len(POSES))
}
UNNAMED = {
    f"Seq_Frame{n:04d}_{name}Transform{end}": ""
    for n in (5, 6)
    for name in ("ProbeToTracker", "ReferenceToTracker")
    for end in ("", "Status")
}
BEYOND = {"Seq_Frame0020_ProbeToTrackerTransform": text(POSES[0])}


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        (STILL, "the same pose in all 15 frames"),
        (UNNAMED, "no transform at all for 2 of 15 frames (5, 6)"),
        (BEYOND, "transforms of 21 frames, and 15 frames"),
    ],
)
def test_sequences_that_make_no_volume_are_refused(fields, complaint, folder, capsys) -> None:
    write_sweep(folder / "a.igs.mha", POSES, fields=fields)
    code, made = reconstruct("--whole-frame")
    assert code == 2 and made is None and complaint in capsys.readouterr().err


def test_a_pose_that_nothing_was_measured_for_is_skipped(folder, capsys) -> None:
    write_sweep(
        folder / "a.igs.mha", POSES, fields={"Seq_Frame0007_ProbeToTrackerTransform": text(np.eye(4))}
    )
    code, made = reconstruct("--whole-frame")
    told = capsys.readouterr().out
    assert code == 0 and made is not None and "frame(s) 7: ProbeToTracker is the identity" in told
    assert max(made.shape) < 200  # the lost pose lies a metre away


def test_a_tracker_without_images_asks_for_them(folder, capsys) -> None:
    tracker_alone(folder / "a.igs.mha")
    code, made = reconstruct("--whole-frame")
    told = capsys.readouterr().err
    assert code == 2 and made is None and "1 x 1 pixels" in told and "--video" in told


@pytest.mark.parametrize("times", [{}, CLOCK])
def test_tracker_and_images_in_two_files(times, folder) -> None:
    """By number, or by time: the volume of the file that has both."""
    frames = np.stack([see(pose) for pose in POSES])
    write_sweep(folder / "a.igs.mha", POSES, frames)
    code, whole = reconstruct("--whole-frame")
    assert code == 0 and whole is not None
    tracker_alone(folder / "a.igs.mha", times)
    images_alone(folder / "images.mha", frames, times)
    code, joined = reconstruct("--whole-frame", "--video", "images.mha")
    assert code == 0
    np.testing.assert_array_equal(joined, whole)


def test_frames_find_their_poses_by_time(folder, capsys) -> None:
    """Images of every second moment, and one long after the tracker stopped."""
    kept = [0, 2, 4, 6, 8, 10, 12, 14]
    frames = np.stack([see(POSES[n]) for n in kept] + [np.full(SIZE, 255, np.uint8)])
    times = {f"Seq_Frame{k:04d}_Timestamp": f"{100 + 0.1 * n + 0.02:.3f}" for k, n in enumerate([*kept, 80])}
    tracker_alone(folder / "a.igs.mha", CLOCK)
    images_alone(folder / "images.mha", frames, times)
    code, made = reconstruct("--whole-frame", "--video", "images.mha")
    told = capsys.readouterr().out
    assert code == 0 and made is not None and "8 of 9 frames used" in told and "no pose within" in told
    write_sweep(folder / "a.igs.mha", [POSES[n] for n in kept])
    code, wanted = reconstruct("--whole-frame")
    np.testing.assert_array_equal(made, wanted)


def test_numbers_that_differ_need_a_common_clock(folder, capsys) -> None:
    tracker_alone(folder / "a.igs.mha")
    images_alone(folder / "images.mha", np.stack([see(pose) for pose in POSES[:9]]), {})
    code, made = reconstruct("--whole-frame", "--video", "images.mha")
    told = capsys.readouterr().err
    assert code == 2 and made is None and "9 frames, and 15 poses" in told and "time stamps" in told
