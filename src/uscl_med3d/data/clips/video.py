"""Video containers (mp4, mov, avi, mpeg, mkv, ...) through PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.clips.base import MOST_DAMAGED, ClipInfo, Note, check_size, refuse_blank
from uscl_med3d.data.clips.display import read_display
from uscl_med3d.data.timing import FrameTimes

# Suffixes that say "video"; other files are videos where FFmpeg opens them as one (`is_video`).
SUFFIXES = (
    ".mp4",
    ".mov",
    ".m4v",
    ".avi",
    ".mpeg",
    ".mpg",
    ".mkv",
    ".webm",
    ".wmv",
    ".asf",
    ".flv",
    ".f4v",
    ".3gp",
    ".3g2",
    ".ts",
    ".mts",
    ".m2ts",
    ".m2v",
    ".vob",
    ".ogv",
    ".ogg",
    ".mxf",
    ".gif",
    ".y4m",
    ".mj2",
    ".h264",
    ".264",
    ".hevc",
)
# Still pictures, and texts that FFmpeg draws as pictures.
NO_VIDEO = ("image2", "tty", "ansi", "bin", "xbin", "adf", "idf")
REMEDY = (
    "export or copy the clip again, and check that a video player shows it to its end; "
    "`uscl-med3d inspect` shows what is read"
)
EXACT = {"mov", "matroska"}  # containers whose duration ends with the last frame
EDITED = "mov"  # containers whose edit list may hide frames that the header counts
HARMLESS = "SEI"  # side information that decoders complain about; no picture depends on it
HDR = {16: "PQ", 18: "HLG"}  # AVColorTransferCharacteristic: other brightness for a value than players show
JPEG_RANGE = 2  # AVColorRange of FFmpeg: luma uses 0..255
PLANAR_YUV = ("yuv420p", "yuv422p", "yuv444p", "yuv410p", "yuv411p", "yuv440p", "yuva420p", "nv12", "nv21")
FULL_PLANAR_YUV = ("yuvj420p", "yuvj422p", "yuvj444p", "yuvj411p", "yuvj440p")
# Studio luma 16..235 to 0..255, in integers, so that every machine gets the same bytes.
EXPAND = np.clip(((np.arange(256) - 16) * 255 * 2 + 219) // (2 * 219), 0, 255).astype(np.uint8)
STUDIO = (8, 243)  # luma that studio range uses, with overshoots of a filter
STUDIO_SHARE = 0.005  # of a frame's pixels may lie outside before it is said


class VideoClip:
    """A video file; see `uscl_med3d.data.clips.base.Clip`."""

    affine: np.ndarray | None = None

    def __init__(self, path: Path) -> None:
        self.path = path
        self.times_s = FrameTimes()  # of the frames read so far
        self.notes: list[Note]
        with self._open() as container:
            stream = self._choose(container)
            check_size(path, max(1, stream.width), max(1, stream.height), 1)
            rate = stream.average_rate
            self._display = read_display(path, container, stream)
            self.notes = list(self._display.notes)
            self.info = ClipInfo(
                format="video",
                codec=stream.codec_context.name,
                frames_per_second=float(rate) if rate else None,
                pixel_spacing_mm=None,
                frame_spacing_mm=None,
                pixel_aspect=self._display.aspect,
            )

    def frames(self) -> Iterator[np.ndarray]:
        """Grey frames, uint8 (h, w), as displayed: turns and mirrors of the container are applied."""
        yield from refuse_blank(self.path, self._frames())

    def _frames(self) -> Iterator[np.ndarray]:
        shape: tuple[int, ...] | None = None
        count = 0
        self.times_s, self.notes = times, notes = FrameTimes(), list(self._display.notes)
        with self._open() as container:
            stream = self._choose(container)
            reading = _Reading(stream, notes)
            try:
                for packet in container.demux(stream):
                    for frame in reading.decode(packet):
                        grey = self._display.show(_grey(frame))
                        if shape is not None and grey.shape != shape:
                            raise self._error(
                                f"frame {count} is {_size(grey.shape)}, earlier frames are {_size(shape)}",
                                "frames of one size",
                            )
                        shape = grey.shape
                        reading.see_frame(frame, count, times)
                        count += 1
                        yield grey
            except av.FFmpegError as error:
                raise self._error(
                    f"decoding fails after {count} frames ({_say(error)})", "a whole video"
                ) from error
            if count == 0:
                raise self._error("a video stream without a single frame", "at least one frame")
            times.missing = reading.count_missing(container, count)
        self._refuse_damaged(count, times)

    def _refuse_damaged(self, count: int, times: FrameTimes) -> None:
        whole = count + times.missing
        allowed = f"at most {MOST_DAMAGED:.0%} of the frames damaged or missing"
        if times.missing > MOST_DAMAGED * whole:
            raise self._error(
                f"{count} frames, then the file ends", f"the {whole} frames its header declares; {allowed}"
            )
        if len(times.damaged) + times.missing > MOST_DAMAGED * whole:
            found = f"{len(times.damaged)} of {count} frames damaged, from frame {times.damaged[0]} on"
            raise self._error(found, allowed)

    def _choose(self, container: av.container.InputContainer) -> av.VideoStream:
        """The stream that a player shows; the picture of a cover is none."""
        stream = container.streams.best("video")
        if not isinstance(stream, av.VideoStream):
            raise self._error("no video stream (audio or data only)", "a video")
        if stream.codec_context is None:
            raise self._error("a video stream that FFmpeg has no decoder for", "a video")
        # One core per sweep: sweeps are what runs in parallel. And what the decoder says belongs to the packet it was given.
        stream.codec_context.thread_count = 1
        return stream

    def _open(self) -> av.container.InputContainer:
        try:
            container = av.open(str(self.path))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise self._error(f"not readable as a video ({_say(error)})", "a whole video") from error
        if not container.streams.video:
            container.close()
            raise self._error("no video stream (audio or data only)", "a video")
        return container

    def _error(self, found: str, expected: str) -> InputError:
        return InputError(file=self.path, found=found, expected=expected, remedy=REMEDY)


class _Reading:
    """What one pass over a stream finds beside its frames."""

    def __init__(self, stream: av.VideoStream, notes: list[Note]) -> None:
        self._stream, self._notes = stream, notes
        self._hidden = 0  # packets that an edit list hides; decoded only for those that need them
        self._end: float | None = None  # of the last frame shown, in seconds
        self._spoiled = False  # a damaged frame was seen, and no key frame since
        self._said: set[str] = set()
        self._complained: set[int | None] = set()  # times of packets that the decoder complained about

    def decode(self, packet: av.Packet[Any]) -> list[av.VideoFrame]:
        """Frames that a packet gives; complaints of the decoder are kept with the packet's time.

        Not every decoder marks the frames that it had to mend, but all of them say so.
        """
        self._see_packet(packet)
        level, skips = av.logging.get_level(), av.logging.get_skip_repeated()
        av.logging.set_level(av.logging.ERROR)
        av.logging.set_skip_repeated(False)
        try:
            with av.logging.Capture() as messages:
                frames = [frame for frame in packet.decode() if isinstance(frame, av.VideoFrame)]
        finally:
            av.logging.set_level(level)
            av.logging.set_skip_repeated(skips)
        if packet.size and not packet.is_discard and any(HARMLESS not in text for _, _, text in messages):
            self._complained.add(packet.pts)
        return frames

    def _see_packet(self, packet: av.Packet[Any]) -> None:
        """Count what is hidden, and remember where the last frame ends."""
        if not packet.size:
            return
        if packet.is_discard:
            self._hidden += 1
        elif packet.pts is not None and packet.time_base is not None:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            self._end = end if self._end is None else max(self._end, end)

    def see_frame(self, frame: av.VideoFrame, number: int, times: FrameTimes) -> None:
        """Note a frame's time, and whether it is damaged or may be."""
        times.append(frame.time)
        damaged = frame.is_corrupt or (frame.pts is not None and frame.pts in self._complained)
        self._spoiled = damaged or (self._spoiled and not frame.key_frame)
        if self._spoiled:
            times.damaged.append(number)
        if frame.interlaced_frame:
            self._say(
                "interlaced",
                "interlaced frames: each holds two fields of different times, taken as one picture",
            )
        if frame.color_trc in HDR:
            self._say(
                "hdr", f"grey values coded for a bright screen ({HDR[frame.color_trc]}): taken as coded"
            )
        luma = frame.format.name in PLANAR_YUV and frame.color_range == 0
        if luma and "range" not in self._said:
            plane = _plane(frame)
            outside = np.count_nonzero((plane < STUDIO[0]) | (plane > STUDIO[1]))
            if outside > STUDIO_SHARE * plane.size:
                text = "the stream does not state its colour range and uses luma beyond 16..235: taken as studio range"
                self._say("range", f"{text}, as players do; darker and brighter values are cut", False)

    def count_missing(self, container: av.container.InputContainer, count: int) -> int:
        """Frames that the container declares behind the last one shown."""
        declared = self._stream.frames - self._hidden - count if self._stream.frames else None
        rate, end = self._stream.average_rate, self._declared_end(container)
        lasting = None
        if rate and end is not None and self._end is not None:
            lasting = int((end - self._end) * float(rate) + 0.01)
            if (
                not set(container.format.name.split(",")) & EXACT
            ):  # others round, or count what precedes the first frame
                lasting -= 1
        known = [value for value in (declared, lasting) if value is not None]
        if not known:
            return 0
        # An edit list may hide the tail, too, and then only the duration tells it from a file that was cut.
        return max(0, min(known) if EDITED in container.format.name.split(",") else max(known))

    def _declared_end(self, container: av.container.InputContainer) -> float | None:
        stream = self._stream
        start = float((stream.start_time or 0) * stream.time_base) if stream.time_base else 0.0
        if stream.duration is not None and stream.time_base is not None:
            return start + float(stream.duration * stream.time_base)
        if (text := stream.metadata.get("DURATION")) is not None:
            return _seconds(text)
        alone = len(container.streams) == 1  # else it may be the sound that lasts so long
        return container.duration / av.time_base if alone and container.duration else None

    def _say(self, key: str, text: str, changes_results: bool = True) -> None:
        if key not in self._said:
            self._said.add(key)
            self._notes.append(Note(text, changes_results))


def open_clip(path: Path) -> VideoClip:
    """Open a video; its header is read at once."""
    return VideoClip(path)


def is_video(path: Path) -> bool:
    """Whether FFmpeg opens a file of any name as a video; still pictures and texts are none."""
    try:
        with av.open(str(path)) as container:
            names = container.format.name.split(",")
            still = any(name in NO_VIDEO or name.endswith("_pipe") for name in names)
            return bool(container.streams.video) and not still
    except (av.FFmpegError, OSError, ValueError):
        return False


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


def _seconds(text: str) -> float | None:
    """Seconds of 00:00:01.500000000, as Matroska's tags have it."""
    try:
        hours, minutes, seconds = text.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]} pixels"


def _say(error: Exception) -> str:
    # FFmpeg's text names the file again after the reason; the first part is enough.
    return str(error).split(":")[0] or type(error).__name__
