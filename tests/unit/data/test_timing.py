"""Repeated and dropped frames, variable rates, odd sizes."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pydicom
import pytest
from raw_files import Cohort, draw_clip, write_video
from test_clips import ramp, write_dicom

from uscl_med3d.data.clips import open_clip, read_clip
from uscl_med3d.data.ingest import ingest
from uscl_med3d.data.sweeps import load_sweep
from uscl_med3d.data.timing import MOST_LISTED, find_irregular


def write_at(path: Path, frames: np.ndarray, times_ms: list[int]) -> Path:
    """Encode uint8 frames without loss, each at its time."""
    return write_video(path, frames, "ffv1", "gray", times_ms)


def ingest_clip(cohort: Cohort, job, frames: np.ndarray, times_ms: list[int]) -> dict:
    cohort.add("a", split="train", key_frames="")
    write_at(cohort.folder / "videos/a.mkv", frames, times_ms)
    cohort.rows[0]["video"] = "videos/a.mkv"
    out = cohort.folder.parent / "out"
    ingest(job, cohort.save(), out / "volumes", out / "splits.csv")
    return load_sweep(out / "volumes", "a").sidecar


def test_a_regular_clip_has_nothing_to_report(cohort: Cohort, make_job) -> None:
    sidecar = ingest_clip(cohort, make_job(), draw_clip(), [50 * i for i in range(10)])
    assert "irregular_frames" not in sidecar


def test_repeated_frames_are_counted(cohort: Cohort, make_job) -> None:
    clip = draw_clip()
    clip[3] = clip[2]
    clip[7:9] = clip[6]
    sidecar = ingest_clip(cohort, make_job(), clip, [50 * i for i in range(10)])
    assert sidecar["irregular_frames"] == {"repeated_frames": 3, "repeated": [3, 7, 8]}
    assert sidecar["source_shape"][0] == 10  # reported, not removed


def test_dropped_frames_are_counted(cohort: Cohort, make_job) -> None:
    times = [0, 50, 100, 250, 300, 350, 400, 450, 550, 600]
    found = ingest_clip(cohort, make_job(), draw_clip(), times)["irregular_frames"]
    assert found["dropped_frames"] == 3
    assert found["gaps"] == [{"after_frame": 2, "missing": 2}, {"after_frame": 7, "missing": 1}]
    assert found["interval_s"] == [0.05, 0.05, 0.15]


def test_a_variable_rate_is_said(cohort: Cohort, make_job) -> None:
    times = [0, 40, 100, 140, 200, 240, 300, 340, 400, 440]
    found = ingest_clip(cohort, make_job(), draw_clip(), times)["irregular_frames"]
    assert set(found) == {"interval_s"} and found["interval_s"] == [0.04, 0.04, 0.06]


def test_intervals_of_dicom(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", ramp(), "MONOCHROME2")
    assert open_clip(path).times_s is None
    dataset = pydicom.dcmread(path)
    del dataset.FrameTime
    dataset.FrameTimeVector = [0, 50, 50, 150, 50, 50]
    dataset.save_as(path)
    found = find_irregular([], open_clip(path).times_s)
    assert found["dropped_frames"] == 2 and found["gaps"] == [{"after_frame": 2, "missing": 2}]
    dataset.FrameTimeVector = [0, 50]  # of another clip
    dataset.save_as(path)
    assert open_clip(path).times_s is None


@pytest.mark.parametrize(
    "times", [None, [], [0.0, 1.0], [0.0, None, 2.0, 9.0], [0.0, 0.0, 0.0, 0.0], [3.0, 2.0, 1.0, 0.0]]
)
def test_times_that_say_nothing(times: list | None) -> None:
    assert find_irregular([], times) is None


def test_long_lists_are_cut_but_counted() -> None:
    found = find_irregular(list(range(1, 500)), None)
    assert found["repeated_frames"] == 499 and len(found["repeated"]) == MOST_LISTED


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (63, 81), (5, 301), (301, 5), (33, 33)])
def test_odd_sizes_survive(tmp_path: Path, size: tuple[int, int]) -> None:
    frames = np.random.default_rng(1).integers(0, 255, (3, *size)).astype(np.uint8)
    path = write_at(tmp_path / "a.mkv", frames, [0, 50, 100])
    np.testing.assert_array_equal(read_clip(path)[0], frames)
    np.testing.assert_array_equal(
        read_clip(write_dicom(tmp_path / "a.dcm", frames, "MONOCHROME2"))[0], frames
    )


def test_odd_sizes_of_a_lossy_codec(cohort: Cohort, make_job) -> None:
    clip = draw_clip(10, 65, 81)
    with av.open(str(write_video(cohort.folder / "videos/odd.mp4", clip[:, :64, :80]))) as container:
        assert container.streams.video[0].width == 80
    path = cohort.folder / "videos/odd.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=20)
        stream.height, stream.width, stream.pix_fmt = 65, 81, "yuvj420p"
        for grey in clip:
            for packet in stream.encode(av.VideoFrame.from_ndarray(grey, format="gray")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    cohort.add("a", split="train", key_frames="")
    cohort.rows[0]["video"] = "videos/odd.avi"
    out = cohort.folder.parent / "out"
    ingest(make_job(), cohort.save(), out / "volumes", out / "splits.csv")
    assert load_sweep(out / "volumes", "a").sidecar["source_shape"] == [10, 65, 81]


def test_a_real_clip_that_repeats_frames(shared: Path) -> None:
    clip = open_clip(shared / "data/real/us_video_eye_itkpocus/sonosite-anon-eye1-video.mp4")
    frames = list(clip.frames())
    repeated = [i for i in range(1, len(frames)) if np.array_equal(frames[i], frames[i - 1])]
    assert find_irregular(repeated, clip.times_s)["repeated_frames"] == len(repeated) == 47
