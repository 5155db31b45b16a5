"""Videos: codec x pixel format x range x display matrix x pixel aspect, against PyAV's frames as displayed."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from uscl_med3d.data.clips import open_clip

FRAMES, ROWS, COLUMNS = 3, 32, 48
CODECS = {  # codec: (container, pixel formats)
    "libx264": (
        "mp4",
        ("yuv420p", "yuv422p", "yuv444p", "yuvj420p", "yuvj422p", "yuv420p10le", "nv12", "gray"),
    ),
    "mpeg4": ("mov", ("yuv420p",)),
    "mpeg2video": ("mpg", ("yuv420p", "yuv422p")),
    "mjpeg": ("avi", ("yuvj420p", "yuvj422p", "yuvj444p")),
    "ffv1": (
        "mkv",
        ("gray", "yuv420p", "yuv422p", "yuv411p", "yuv410p", "bgr0", "yuv422p10le", "gray10le", "gray16le"),
    ),
    "libvpx": ("webm", ("yuv420p",)),
    "libvpx-vp9": ("webm", ("yuv420p", "yuv444p")),
    "huffyuv": ("avi", ("yuv422p", "rgb24")),
    "ffvhuff": ("avi", ("yuv420p", "yuv444p", "rgb24")),
    "png": ("mov", ("rgb24", "gray", "rgba")),
    "qtrle": ("mov", ("rgb24", "gray")),
    "rawvideo": ("avi", ("gray", "yuv420p", "bgr24", "yuyv422")),
    "prores": ("mov", ("yuv422p10le",)),
    "gif": ("gif", ("gray", "rgb8")),
    "wmv2": ("wmv", ("yuv420p",)),
    "flv1": ("flv", ("yuv420p",)),
    "msmpeg4v2": ("avi", ("yuv420p",)),
}
ENCODED = [(codec, suffix, form) for codec, (suffix, forms) in CODECS.items() for form in forms]
LUMA = ("yuv420p", "yuv422p", "yuv444p", "yuv410p", "yuv411p", "yuva420p", "nv12")
FULL = ("yuvj420p", "yuvj422p", "yuvj444p", "gray")
TURNS = {  # name: (a, b, c, d), and what it does to a picture
    "as stored": ((1, 0, 0, 1), lambda p: p),
    "mirrored": ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
    "upside down": ((1, 0, 0, -1), lambda p: p[::-1]),
    "by 180": ((-1, 0, 0, -1), lambda p: p[::-1, ::-1]),
    "clockwise": ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),
    "anticlockwise": ((0, -1, 1, 0), lambda p: np.rot90(p, 1)),
    "transposed": ((0, 1, 1, 0), lambda p: p.T),
    "anti-transposed": ((0, -1, -1, 0), lambda p: p[::-1, ::-1].T),
}


def picture(number: int) -> np.ndarray:
    """A picture without any symmetry, rgb24; blocks of one colour, so that no codec loses it."""
    blocks = np.random.default_rng(number).integers(20, 236, (ROWS // 8, COLUMNS // 8, 1))
    return np.repeat(np.repeat(np.repeat(blocks, 3, 2), 8, 0), 8, 1).astype(np.uint8)


def encode(path: Path, codec: str, form: str, colour_range: int = 0, aspect: Fraction | None = None) -> Path:
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = COLUMNS, ROWS, form
        if colour_range:
            stream.codec_context.color_range = colour_range
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24").reformat(format=form)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def as_displayed(path: Path) -> np.ndarray:
    """Grey values that PyAV decodes: luma of the range that the stream has, else of FFmpeg's own RGB."""
    made = []
    with av.open(str(path)) as file:
        for frame in file.decode(file.streams.best("video")):
            name = frame.format.name
            if name in LUMA or name in FULL:
                rows = np.frombuffer(frame.planes[0], np.uint8).reshape(-1, frame.planes[0].line_size)
                luma = rows[:ROWS, :COLUMNS].astype(float)
                full = name in FULL or frame.color_range == 2
                made.append(luma if full else np.clip(np.floor((luma - 16) * 255 / 219 + 0.5), 0, 255))
            else:
                rgb = frame.to_ndarray(format="rgb24").astype(float)
                made.append(np.floor(rgb @ np.array([19595, 38470, 7471]) / 65536 + 0.5))
    return np.stack(made)


def turn_header(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Write a display matrix into the track header of an mp4 or mov file."""
    a, b, c, d = (65536 * value for value in matrix)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    data[at : at + 36] = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], ">i4").tobytes()
    path.write_bytes(data)


def read(path: Path) -> np.ndarray:
    clip = open_clip(path)
    frames = np.stack(list(clip.frames()))
    assert frames.dtype == np.uint8 and np.ptp(frames) > 50
    return frames


@pytest.mark.parametrize(("codec", "suffix", "form"), ENCODED, ids=lambda value: str(value))
def test_codecs_and_pixel_formats(tmp_path: Path, codec: str, suffix: str, form: str) -> None:
    try:
        path = encode(tmp_path / f"a.{suffix}", codec, form)
    except (av.FFmpegError, ValueError) as error:
        pytest.skip(f"this FFmpeg does not write {codec} {form}: {error}")
    frames = read(path)
    np.testing.assert_array_equal(frames, as_displayed(path))
    drawn = np.stack([picture(number)[..., 0] for number in range(FRAMES)]).astype(int)
    assert np.abs(frames - drawn).mean() < 12  # the picture itself: neither inverted nor shifted in range


@pytest.mark.parametrize("colour_range", [0, 1, 2])
@pytest.mark.parametrize("form", ["yuv420p", "yuv422p", "yuv444p"])
@pytest.mark.parametrize(("codec", "suffix"), [("libx264", "mp4"), ("ffv1", "mkv"), ("libvpx-vp9", "webm")])
def test_colour_ranges(tmp_path: Path, codec: str, suffix: str, form: str, colour_range: int) -> None:
    try:
        path = encode(tmp_path / f"a.{suffix}", codec, form, colour_range)
    except (av.FFmpegError, ValueError) as error:
        pytest.skip(f"this FFmpeg does not write {codec} {form}: {error}")
    np.testing.assert_array_equal(read(path), as_displayed(path))


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize(
    ("codec", "suffix"), [("libx264", "mp4"), ("mpeg4", "mov"), ("mpeg4", "mp4"), ("mjpeg", "mov")]
)
def test_display_matrices(tmp_path: Path, codec: str, suffix: str, turn: str) -> None:
    path = encode(tmp_path / f"a.{suffix}", codec, "yuvj420p" if codec == "mjpeg" else "yuv420p")
    stored = as_displayed(path)
    matrix, show = TURNS[turn]
    turn_header(path, matrix)
    np.testing.assert_array_equal(read(path), np.stack([show(frame) for frame in stored]))


@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(4, 3), Fraction(16, 15), Fraction(1, 2)])
@pytest.mark.parametrize("turn", ["as stored", "mirrored", "clockwise", "transposed"])
def test_pixel_aspects(tmp_path: Path, turn: str, aspect: Fraction) -> None:
    path = encode(tmp_path / "a.mp4", "mpeg4", "yuv420p", aspect=aspect)
    matrix, _ = TURNS[turn]
    turn_header(path, matrix)
    clip = open_clip(path)
    assert clip.info.pixel_aspect == pytest.approx(
        float(aspect) if matrix[0] else 1 / float(aspect), rel=1e-3
    )
    assert any("not square" in note.text for note in clip.notes) == (aspect != 1)
    assert any("as players show it" in note.text for note in clip.notes) == (turn != "as stored")
