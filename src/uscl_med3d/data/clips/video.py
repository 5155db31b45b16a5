"""Video containers (mp4, mov, avi, mpeg, mkv, ...) through PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.clips.base import ClipInfo, check_size

SUFFIXES = (".mp4", ".mov", ".m4v", ".avi", ".mpeg", ".mpg", ".mkv", ".webm", ".wmv")
REMEDY = "export or copy the clip again, and check that a video player shows it to its end"
# A container may declare a few frames that its edit list or a broken tail hides; many missing ones are a cut
# file.
DECODED_SHARE = 0.9
JPEG_RANGE = 2  # AVColorRange of FFmpeg: luma uses 0..255
PLANAR_YUV = ("yuv420p", "yuv422p", "yuv444p", "yuv410p", "yuv411p", "yuv440p")
FULL_PLANAR_YUV = ("yuvj420p", "yuvj422p", "yuvj444p", "yuvj411p", "yuvj440p")
# Studio luma 16..235 to 0..255, in integers, so that every machine gets the same bytes.
EXPAND = np.clip(((np.arange(256) - 16) * 255 * 2 + 219) // (2 * 219), 0, 255).astype(np.uint8)


class VideoClip:
    """A video file; see `uscl_med3d.data.clips.base.Clip`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.times_s: list[float | None] = []  # of the frames read so far
        with self._open() as container:
            stream = container.streams.video[0]
            check_size(path, max(1, stream.width), max(1, stream.height), 1)
            rate = stream.average_rate
            self.info = ClipInfo(
                format="video",
                codec=stream.codec_context.name,
                frames_per_second=float(rate) if rate else None,
                pixel_spacing_mm=None,
                frame_spacing_mm=None,
            )

    def frames(self) -> Iterator[np.ndarray]:
        """Grey frames, uint8 (h, w), as displayed (a rotation in the container is applied)."""
        shape: tuple[int, ...] | None = None
        count = 0
        self.times_s = []
        with self._open() as container:
            stream = container.streams.video[0]
            declared = stream.frames
            try:
                for frame in container.decode(stream):
                    grey = _upright(_grey(frame), frame)
                    if shape is not None and grey.shape != shape:
                        raise self._error(
                            f"frame {count} is {_size(grey.shape)}, earlier frames are {_size(shape)}",
                            "frames of one size",
                        )
                    shape = grey.shape
                    count += 1
                    self.times_s.append(frame.time)
                    yield grey
            except av.FFmpegError as error:
                raise self._error(
                    f"decoding fails after {count} frames ({_say(error)})", "a whole video"
                ) from error
        if count == 0:
            raise self._error("a video stream without a single frame", "at least one frame")
        if count < DECODED_SHARE * declared:
            raise self._error(
                f"{count} frames, then the file ends", f"the {declared} frames its header declares"
            )

    def _open(self) -> av.container.InputContainer:
        try:
            container = av.open(str(self.path))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise self._error(f"not readable as a video ({_say(error)})", "a whole video") from error
        if not container.streams.video:
            container.close()
            raise self._error("no video stream (audio or data only)", "a video")
        container.streams.video[
            0
        ].thread_type = "SLICE"  # one core per sweep: sweeps are what runs in parallel
        return container

    def _error(self, found: str, expected: str) -> InputError:
        return InputError(file=self.path, found=found, expected=expected, remedy=REMEDY)


def open_clip(path: Path) -> VideoClip:
    """Open a video; its header is read at once."""
    return VideoClip(path)


def _grey(frame: av.VideoFrame) -> np.ndarray:
    """Luma of a frame, uint8 (h, w), 0..255.

    The luma plane is taken as it is coded where possible: FFmpeg's own conversions differ between processors.
    """
    name = frame.format.name
    if name in PLANAR_YUV or name in FULL_PLANAR_YUV or name == "gray":
        luma = _plane(frame)
        full = name not in PLANAR_YUV or frame.color_range == JPEG_RANGE
        return luma if full else EXPAND[luma]
    rgb = frame.to_ndarray(format="rgb24").astype(np.uint32)
    # Rec. 601 luma in integers, weights of 2^16.
    return ((rgb @ np.array([19595, 38470, 7471], np.uint32) + 32768) >> 16).astype(np.uint8)


def _plane(frame: av.VideoFrame) -> np.ndarray:
    plane: Any = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width].copy()


def _upright(grey: np.ndarray, frame: av.VideoFrame) -> np.ndarray:
    turns = round(frame.rotation / 90) % 4  # counter-clockwise, as np.rot90 turns
    return np.ascontiguousarray(np.rot90(grey, turns)) if turns else grey


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]} pixels"


def _say(error: Exception) -> str:
    # FFmpeg's text names the file again after the reason; the first part is enough.
    return str(error).split(":")[0] or type(error).__name__
