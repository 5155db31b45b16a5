"""Clips of every format become grey frames."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage
from raw_files import draw_clip, write_video

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.clips import cached, open_clip, read_clip


def ramp(frames: int = 6) -> np.ndarray:
    """Frames of one grey value each."""
    return np.stack([np.full((48, 64), 40 * i, np.uint8) for i in range(frames)])


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("mp4", "libx264"), ("mov", "mpeg4"), ("avi", "mjpeg"), ("mpeg", "mpeg2video"), ("mkv", "ffv1")],
)
def test_grey_values_survive_every_container(tmp_path: Path, suffix: str, codec: str) -> None:
    path = tmp_path / f"a.{suffix}"
    clip = ramp()
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for grey in clip:
            for packet in stream.encode(av.VideoFrame.from_ndarray(grey, format="gray")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    frames, info = read_clip(path)
    assert frames.dtype == np.uint8 and frames.shape == clip.shape
    assert np.abs(frames.astype(int) - clip).max() <= 3
    assert info.format == "video" and info.codec == {"libx264": "h264"}.get(codec, codec)
    assert info.pixel_spacing_mm is None and info.frame_spacing_mm is None
    assert info.frames_per_second == pytest.approx(25)


def test_colour_becomes_luma(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=20)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "bgr0"
        image = np.zeros((16, 16, 3), np.uint8)
        image[:8, :, 0], image[8:, :, 1] = 255, 255
        for packet in [*stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")), *stream.encode()]:
            container.mux(packet)
    frames, _ = read_clip(path)
    assert set(np.unique(frames[0, :8])) == {76} and set(np.unique(frames[0, 8:])) == {150}


def test_variable_frame_rate_loses_and_invents_no_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", ramp(), times_ms=(0, 50, 300, 310, 900, 1000))
    frames, _ = read_clip(path)
    np.testing.assert_allclose(frames.mean((1, 2)), ramp().mean((1, 2)), atol=3)


def test_frames_are_counted_before_they_are_all_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = draw_clip(6)
    path = write_video(tmp_path / "a.mp4", clip)
    expected, _ = read_clip(path)
    for limit in (10**9, clip[0].nbytes * 3):
        monkeypatch.setattr(cached, "MEMORY_BYTES", limit)
        kept = cached.CachedClip(open_clip(path))
        for _ in range(2):
            np.testing.assert_array_equal(np.stack(list(kept.frames())), expected)


def write_dicom(path: Path, pixels: np.ndarray, kind: str) -> Path:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.SOPClassUID, dataset.SOPInstanceUID = UltrasoundMultiFrameImageStorage, "1.2.3"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = pixels.shape[:3]
    dataset.SamplesPerPixel = 1 if pixels.ndim == 3 else 3
    if pixels.ndim == 4:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = kind
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.FrameTime = "50"
    region = Dataset()
    region.RegionDataType, region.RegionSpatialFormat = 1, 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX, region.PhysicalDeltaY = 0.03, 0.05
    dataset.SequenceOfUltrasoundRegions = [region]
    dataset.PixelData = pixels.tobytes()
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


@pytest.mark.parametrize("kind", ["MONOCHROME2", "MONOCHROME1", "RGB", "YBR_FULL"])
def test_dicom(tmp_path: Path, kind: str) -> None:
    grey = ramp()
    neutral = np.full_like(grey, 128)
    colours = {"RGB": [grey] * 3, "YBR_FULL": [grey, neutral, neutral]}
    pixels = np.stack(colours[kind], -1) if kind in colours else grey
    # No suffix: exports from a scanner often have none, so the content decides.
    frames, info = read_clip(write_dicom(tmp_path / "IM0001", pixels, kind))
    np.testing.assert_array_equal(frames, 255 - grey if kind == "MONOCHROME1" else grey)
    assert info.pixel_spacing_mm == pytest.approx((0.5, 0.3))
    assert info.frames_per_second == pytest.approx(20)
    assert info.frame_spacing_mm is None


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_volumes(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(ramp()), str(path))
    frames, info = read_clip(path)
    np.testing.assert_array_equal(frames, ramp())
    # Stacks of untracked frames carry a made-up spacing; only cohort.csv is believed.
    assert info.pixel_spacing_mm is None and info.frame_spacing_mm is None


def test_other_grey_ranges_are_scaled(tmp_path: Path) -> None:
    path = tmp_path / "a.nrrd"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(ramp().astype(np.float32) * 10 - 500), str(path))
    frames, _ = read_clip(path)
    np.testing.assert_array_equal(frames[:, 0, 0], [0, 51, 102, 153, 204, 255])


def broken(folder: Path, kind: str) -> Path:
    """A file that is no whole clip."""
    whole = write_video(folder / "whole.mp4", draw_clip(30)).read_bytes()
    if kind == "audio":
        with av.open(str(folder / "audio.mkv"), "w") as container:
            stream = container.add_stream("pcm_s16le", rate=8000)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
            frame.rate = 8000
            for packet in [*stream.encode(frame), *stream.encode()]:
                container.mux(packet)
        return folder / "audio.mkv"
    if kind == "no frame":
        with av.open(str(folder / "none.avi"), "w") as container:
            stream = container.add_stream("mpeg4", rate=20)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            container.start_encoding()
        return folder / "none.avi"
    path = folder / {"suffix": "clip.txt", "dicom": "clip.dcm", "volume": "clip.nrrd"}.get(kind, "clip.mp4")
    if kind != "missing":
        text = {"empty": b"", "text": b"not a video" * 100, "cut": whole[: len(whole) // 2]}
        path.write_bytes(text.get(kind, b"nothing of the kind" * 50))
    return path


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("missing", "no such file"),
        ("empty", "0 bytes"),
        ("text", "not readable as a video"),
        ("cut", "not readable as a video"),
        ("audio", "no video stream"),
        ("no frame", "without a single frame|not readable"),
        ("suffix", "suffix '.txt'"),
        ("dicom", "not readable as DICOM"),
        ("volume", "not readable as an image volume"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, kind: str, found: str) -> None:
    path = broken(tmp_path, kind)
    with pytest.raises(InputError, match=found) as caught:
        read_clip(path)
    assert str(path) in str(caught.value)
    assert "remedy" in str(caught.value)


@pytest.mark.parametrize("where", ["between frames", "inside a frame"])
def test_a_video_cut_after_its_header_is_noticed(tmp_path: Path, where: str) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("mpeg4", rate=20)
        stream.width, stream.height, stream.pix_fmt = 80, 64, "yuv420p"
        for grey in draw_clip(30):
            for packet in stream.encode(av.VideoFrame.from_ndarray(grey, format="gray")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    with av.open(str(path)) as container:
        starts = [packet.pos for packet in container.demux(video=0) if packet.pos is not None]
    path.write_bytes(path.read_bytes()[: starts[20] + (3 if where == "inside a frame" else 0)])
    with pytest.raises(InputError, match=r"20 frames, then the file ends|decoding fails after 20"):
        read_clip(path)


def test_a_rotated_video_is_read_as_it_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    clip = np.zeros((5, 48, 64), np.uint8)
    clip[:, :24, :32] = 200  # the upper left quarter
    write_video(path, clip)
    data = path.read_bytes()
    # The display matrix in the track header: identity, replaced by a turn of 90 degrees clockwise.
    one = (0x10000).to_bytes(4, "big")
    zero, back, last = bytes(4), (2**32 - 0x10000).to_bytes(4, "big"), (0x40000000).to_bytes(4, "big")
    identity = one + zero * 3 + one + zero * 3 + last
    header = data.index(b"tkhd")
    place = data.index(identity, header)
    turned = zero + one + zero + back + zero * 4 + last
    path.write_bytes(data[:place] + turned + data[place + len(turned) :])
    frames, _ = read_clip(path)
    assert frames.shape == (5, 64, 48)
    assert frames[:, 4:28, 28:44].mean() > 180 and frames[:, 4:28, 4:20].mean() < 20


def test_sides_of_dicom_pixels_are_not_exchanged(tmp_path: Path) -> None:
    """PixelSpacing and PixelAspectRatio both name the vertical side first."""
    path = write_dicom(tmp_path / "a.dcm", ramp(), "MONOCHROME2")
    dataset = pydicom.dcmread(path)
    del dataset.SequenceOfUltrasoundRegions
    dataset.PixelSpacing = [0.5, 0.4]
    dataset.save_as(tmp_path / "spacing.dcm")
    assert read_clip(tmp_path / "spacing.dcm")[1].pixel_spacing_mm == pytest.approx((0.5, 0.4))
    del dataset.PixelSpacing
    dataset.PixelAspectRatio = [6, 5]
    dataset.save_as(tmp_path / "aspect.dcm")
    assert open_clip(tmp_path / "aspect.dcm").info.pixel_aspect == pytest.approx(5 / 6)
