"""Pixels as the headers and streams really have them, damaged and hidden frames among them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian, JPEGBaseline8Bit
from raw_files import draw_clip, write_video
from test_clips import ramp, write_dicom

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.clips import open_clip, read_clip
from uscl_med3d.data.timing import find_irregular


def grey_jpegs(clip: np.ndarray) -> list[bytes]:
    """Colour JPEGs of grey frames as a scanner writes them: YCbCr with a JFIF marker."""
    import io

    from PIL import Image

    made = []
    for frame in clip:
        stream = io.BytesIO()
        Image.fromarray(np.stack([frame] * 3, -1)).save(stream, "JPEG", quality=95)
        made.append(stream.getvalue())
    return made


@pytest.mark.parametrize("kind", ["RGB", "YBR_FULL", "YBR_FULL_422"])
def test_jpeg_is_decoded_by_its_stream_whatever_the_header_calls_it(tmp_path: Path, kind: str) -> None:
    clip = draw_clip(4)
    path = write_dicom(tmp_path / "a.dcm", np.stack([clip] * 3, -1), "RGB")
    dataset = pydicom.dcmread(path)
    dataset.PhotometricInterpretation = kind
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = pydicom.encaps.encapsulate(grey_jpegs(clip))
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    assert np.abs(read_clip(path)[0].astype(int) - clip).mean() < 3


@pytest.mark.parametrize("wide", [False, True])
def test_palette_of_eight_bits_in_sixteen_bit_words(tmp_path: Path, wide: bool) -> None:
    path = write_dicom(tmp_path / "a.dcm", ramp() // 40, "PALETTE COLOR")
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    table = np.zeros(256, np.uint16)
    table[:6] = [0, 40, 80, 120, 160, 200]
    for colour in ("Red", "Green", "Blue"):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(dataset, f"{colour}PaletteColorLookupTableData", (table * (257 if wide else 1)).tobytes())
    pydicom.dcmwrite(path, dataset, implicit_vr=True, little_endian=True)
    clip = open_clip(path)
    frames = np.stack(list(clip.frames()))
    np.testing.assert_array_equal(frames[:, 0, 0], [0, 40, 80, 120, 160, 200])
    assert bool(clip.notes) is not wide


def region(box: tuple[int, int, int, int], delta: float) -> Dataset:
    made = Dataset()
    made.RegionDataType, made.RegionSpatialFormat = 1, 1
    made.PhysicalUnitsXDirection = made.PhysicalUnitsYDirection = 3
    made.PhysicalDeltaX = made.PhysicalDeltaY = delta
    for name, value in zip(("MinX0", "MinY0", "MaxX1", "MaxY1"), box, strict=True):
        setattr(made, f"RegionLocation{name}", value)
    return made


WHOLE, INSET, LEFT, RIGHT, DARK = (
    (0, 0, 79, 63),
    (0, 0, 19, 3),
    (0, 0, 39, 63),
    (40, 0, 79, 63),
    (0, 0, 9, 63),
)


@pytest.mark.parametrize(
    ("regions", "spacing", "said"),
    [
        ([(INSET, 0.01), (WHOLE, 0.03)], 0.3, "several scales"),
        ([(WHOLE, 0.03), (INSET, 0.01)], 0.3, "several scales"),
        ([(DARK, 0.03)], None, "next to nothing"),
        ([(LEFT, 0.03), (RIGHT, 0.02)], None, "several scales"),
        ([(WHOLE, 0.03), (LEFT, 0.02)], None, "several scales"),  # one within the other
        ([(LEFT, 0.03), (RIGHT, 0.03)], 0.3, None),
        ([(WHOLE, 0.03)], 0.3, None),
    ],
)
def test_the_region_with_the_image_gives_the_size(
    tmp_path: Path, regions: list, spacing: float | None, said: str | None
) -> None:
    path = write_dicom(tmp_path / "a.dcm", draw_clip(), "MONOCHROME2")
    dataset = pydicom.dcmread(path)
    dataset.SequenceOfUltrasoundRegions = [region(*entry) for entry in regions]
    dataset.save_as(path)
    clip = open_clip(path)
    expected = None if spacing is None else pytest.approx((spacing, spacing))
    assert clip.info.pixel_spacing_mm == expected  # asked before the frames
    assert len(list(clip.frames())) == 10 and clip.info.pixel_spacing_mm == expected
    assert [said in note.text for note in clip.notes] == ([] if said is None else [True])


def enhanced(path: Path, places: list[float], edit: Callable[[Dataset], None] = lambda _: None) -> Path:
    """An enhanced object whose frame k is of grey value 20 k + 20 and lies at `places[k]` mm."""
    clip = np.stack([np.full((48, 64), 20 + 20 * k, np.uint8) for k in range(len(places))])
    dataset = pydicom.dcmread(write_dicom(path, clip, "MONOCHROME2"))
    del dataset.SequenceOfUltrasoundRegions
    shared, measures, plane = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, plane.ImageOrientationVolume = [0.3, 0.2], [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationVolumeSequence = [measures], [plane]
    dataset.SharedFunctionalGroupsSequence = [shared]
    groups = []
    for place in places:
        group, position = Dataset(), Dataset()
        position.ImagePositionVolume = [0, 0, place]
        group.PlanePositionVolumeSequence = [position]
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = groups
    edit(dataset)
    dataset.save_as(path)
    return path


def test_enhanced_frames_come_by_their_places(tmp_path: Path) -> None:
    frames, info = read_clip(enhanced(tmp_path / "a.dcm", [1.5, 0.5, 0.0, 1.0]))
    assert frames[:, 0, 0].tolist() == [60, 40, 80, 20]
    assert info.pixel_spacing_mm == (0.3, 0.2) and info.frame_spacing_mm == pytest.approx(0.5)
    clip = open_clip(enhanced(tmp_path / "b.dcm", [0.0, 0.5, 1.0, 3.0]))
    assert clip.info.frame_spacing_mm is None and "3 frame(s) missing" in clip.notes[0].text


def test_a_volume_in_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="4 frames at 2 places"):
        read_clip(enhanced(tmp_path / "a.dcm", [0.0, 1.0, 0.0, 1.0]))

    def two_sizes(dataset: Dataset) -> None:
        measures = Dataset()
        measures.PixelSpacing = [0.1, 0.1]
        dataset.PerFrameFunctionalGroupsSequence[1].PixelMeasuresSequence = [measures]

    with pytest.raises(InputError, match="2 pixel sizes"):
        read_clip(enhanced(tmp_path / "b.dcm", [0.0, 1.0, 2.0], two_sizes))


def test_dicom_without_its_signature(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", draw_clip(), "MONOCHROME2")
    bare = tmp_path / "IM1"
    bare.write_bytes(path.read_bytes()[132:])
    np.testing.assert_array_equal(read_clip(bare)[0], read_clip(path)[0])


def rewrite(path: Path, out: Path, matrix: tuple[int, ...]) -> Path:
    """A copy of an mp4 with another display matrix in its track header."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = np.array(matrix, ">i4").tobytes()
    out.write_bytes(data)
    return out


ONE = 65536


@pytest.mark.parametrize(
    ("a", "b", "c", "d"),
    [
        (1, 0, 0, 1),
        (-1, 0, 0, 1),
        (1, 0, 0, -1),
        (-1, 0, 0, -1),
        (0, 1, -1, 0),
        (0, -1, 1, 0),
        (0, 1, 1, 0),
        (0, -1, -1, 0),
    ],
)
def test_every_turn_and_mirror_of_the_display_matrix(tmp_path: Path, a: int, b: int, c: int, d: int) -> None:
    """The pixel stored at column x, row y is shown at (a x + c y, b x + d y), ISO/IEC 14496-12."""
    plain = write_video(tmp_path / "a.mp4", draw_clip(4))
    stored = read_clip(plain)[0]
    values = (a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30)
    got = read_clip(rewrite(plain, tmp_path / "b.mp4", values))[0]
    height, width = stored.shape[1:]
    y, x = np.mgrid[:height, :width]
    left, top = a * x + c * y, b * x + d * y
    expected = np.zeros((4, *((width, height) if a == 0 else (height, width))), np.uint8)
    expected[:, top - top.min(), left - left.min()] = stored
    np.testing.assert_array_equal(got, expected)


def test_a_matrix_that_leans_is_refused(tmp_path: Path) -> None:
    plain = write_video(tmp_path / "a.mp4", draw_clip(4))
    half = 46341
    with pytest.raises(InputError, match="turns the picture by no quarter"):
        read_clip(rewrite(plain, tmp_path / "b.mp4", (half, half, 0, -half, half, 0, 0, 0, 1 << 30)))


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    plain = write_video(tmp_path / "a.mp4", draw_clip(4), "mpeg4")
    with av.open(str(tmp_path / "b.mp4"), "w") as file:
        stream = file.add_stream("mpeg4", rate=20)
        stream.width, stream.height, stream.pix_fmt = 80, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        for grey in draw_clip(4):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="gray")))
        file.mux(stream.encode())
    clip = open_clip(tmp_path / "b.mp4")
    assert clip.info.pixel_aspect == pytest.approx(4 / 3)
    np.testing.assert_array_equal(np.stack(list(clip.frames())), read_clip(plain)[0])  # the stored pixels
    assert clip.notes[0].changes_results and "not square" in clip.notes[0].text
    assert open_clip(plain).info.pixel_aspect == 1.0


@pytest.mark.parametrize(
    "name", ["a.ts", "a.vob", "a.m2ts", "a.webm", "a.wmv", "a.gif", "a.flv", "a.xyz", "a"]
)
def test_whatever_ffmpeg_shows_is_a_video(tmp_path: Path, name: str) -> None:
    codec, form, pixels = {
        "webm": ("libvpx", "webm", "yuv420p"),
        "wmv": ("wmv2", "asf", "yuv420p"),
        "gif": ("gif", "gif", "gray"),
        "flv": ("flv1", "flv", "yuv420p"),
        "vob": ("mpeg2video", "vob", "yuv420p"),
    }.get(name.rpartition(".")[2], ("mpeg2video", "mpegts", "yuv420p"))
    clip = ramp() + 20
    with av.open(str(tmp_path / name), "w", format=form) as file:
        stream = file.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        for grey in clip:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="gray")))
        file.mux(stream.encode())
    frames, info = read_clip(tmp_path / name)
    assert (
        frames.shape == clip.shape and np.abs(frames.astype(int) - clip).mean() < 4 and info.format == "video"
    )


def flip_bits(path: Path, out: Path, share: float, count: int) -> Path:
    """A copy with single bits flipped behind `share` of its bytes."""
    data = bytearray(path.read_bytes())
    for at in np.linspace(share * len(data), 0.95 * len(data), count).astype(int):
        data[at] ^= 16
    out.write_bytes(data)
    return out


def moving() -> np.ndarray:
    """Waves that move, with a little noise: 60 frames of 120 x 160 pixels."""
    y, x = np.mgrid[:120, :160]
    noise = np.random.default_rng(0).normal(0, 5, (60, 120, 160))
    waves = [60 + 40 * np.sin(x / 9 + t / 3) * np.cos(y / 7) for t in range(60)]
    return np.clip(np.stack(waves) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_damaged_frames_are_refused(tmp_path: Path, codec: str, suffix: str) -> None:
    """Bits flipped in a whole file: no frame may go in changed without a word."""
    whole = write_video(tmp_path / f"a.{suffix}", moving(), codec)
    clip = open_clip(whole)
    assert len(list(clip.frames())) == 60 and find_irregular([], clip.times_s) is None
    with pytest.raises(InputError, match=r"damaged, from frame|decoding fails|then the file ends"):
        read_clip(flip_bits(whole, tmp_path / f"b.{suffix}", 0.3, 20))


def test_a_few_damaged_or_missing_frames_are_listed() -> None:
    from uscl_med3d.data.timing import FrameTimes

    times = FrameTimes([0.0, 0.1, 0.2, 0.3])
    times.damaged, times.missing, times.unreadable = [2, 3], 1, ["IM0004"]
    assert find_irregular([], times) == {
        "damaged_frames": 2,
        "damaged": [2, 3],
        "dropped_frames": 1,
        "missing_at_end": 1,
        "unreadable_files": ["IM0004"],
    }


def test_frames_that_an_edit_list_hides_are_not_missing(tmp_path: Path) -> None:
    """A cut without encoding: samples before the first shown frame stay in the file, its edit list hides them."""
    whole = write_video(tmp_path / "a.mp4", draw_clip(24))
    data = bytearray(whole.read_bytes())
    at = data.index(b"elst") + 4
    version, count = data[at], int.from_bytes(data[at + 4 : at + 8], "big")
    assert version == 0 and count == 1
    duration = int.from_bytes(data[at + 8 : at + 12], "big")
    start = int.from_bytes(data[at + 12 : at + 16], "big")
    scale_at = data.index(b"mdhd") + 4 + 12
    scale = int.from_bytes(data[scale_at : scale_at + 4], "big")
    data[at + 8 : at + 12] = (duration * 16 // 24).to_bytes(4, "big")
    data[at + 12 : at + 16] = (start + 8 * scale // 20).to_bytes(4, "big")
    (tmp_path / "b.mp4").write_bytes(data)
    frames, shown = read_clip(tmp_path / "b.mp4")[0], read_clip(whole)[0]
    np.testing.assert_array_equal(frames, shown[8:])
    clip = open_clip(tmp_path / "b.mp4")
    assert len(list(clip.frames())) == 16 and find_irregular([], clip.times_s) is None


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("declared", "refused"), [(3, True), (4, False), (5, True)])
def test_frames_against_the_number_that_the_header_declares(
    tmp_path: Path, declared: int, refused: bool, packed: bool
) -> None:
    clip = draw_clip(4)
    path = write_dicom(tmp_path / "a.dcm", np.stack([clip] * 3, -1), "RGB")
    dataset = pydicom.dcmread(path)
    dataset.NumberOfFrames = declared
    if packed:
        dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        dataset.PixelData = pydicom.encaps.encapsulate(grey_jpegs(clip), has_bot=False)
        dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    if not refused:
        assert len(read_clip(path)[0]) == 4
        return
    with pytest.raises(InputError):
        read_clip(path)
