"""What every clip format provides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.timing import FrameTimes

# Refused by the header alone: a few bytes can declare more than any machine holds. A frame of 8192 x 8192 pixels, a
# clip of as many frames as ten minutes at 60 per second, and four hours of 1080p in all lie beyond every sweep.
LARGEST_FRAME_PX = 2**26
MOST_FRAMES = 36_000
LARGEST_CLIP_PX = 2**33
# A clip with more of its frames damaged or missing is refused; with fewer they are listed in the sidecar.
MOST_DAMAGED = 0.05
SMALLEST_MM, LARGEST_MM = (
    0.5,
    1000.0,
)  # longer side of an image; those of a matrix probe and of panoramas lie between
DARK, BRIGHT = 4, 251  # grey levels at most or at least: black, saturated
BLANK_SHARE = 0.9995  # of all pixels of a clip: no ultrasound image fills less than this leaves


@dataclass(frozen=True)
class ClipInfo:
    """Facts of a clip that its header states; None where it does not.

    pixel_spacing_mm is (h, w), and spacing_from one word for the part of the header that says so; frame_spacing_mm is
    the distance between neighbouring frames of a tracked or reconstructed sweep. pixel_aspect is width / height of a
    pixel where its size is not known; 1 for square ones.
    """

    format: str
    codec: str | None
    frames_per_second: float | None
    pixel_spacing_mm: tuple[float, float] | None
    frame_spacing_mm: float | None
    spacing_from: str | None = None
    pixel_aspect: float = 1.0


@dataclass(frozen=True)
class Note:
    """Something that was assumed about an input, for its sidecar.

    changes_results: it can change a label or a millimetre, so it is also said on the console.
    """

    text: str
    changes_results: bool = True


class FrameSource(Protocol):
    """Whatever gives the grey frames of a clip, uint8 (h, w), in order."""

    def frames(self) -> Iterable[np.ndarray]: ...


class Clip(Protocol):
    """A sweep clip: facts, and a stream of frames that can be started more than once.

    affine: (4, 4) voxel (column, row, frame) -> millimetres in RAS, None where the file states no place.
    times_s: of the frames read so far, with damaged and missing ones; None where the format knows nothing of it.
    notes: what was assumed; complete when the frames have been read.
    """

    @property
    def info(self) -> ClipInfo: ...

    @property
    def affine(self) -> np.ndarray | None: ...

    @property
    def times_s(self) -> FrameTimes | None: ...

    @property
    def notes(self) -> list[Note]: ...

    def frames(self) -> Iterator[np.ndarray]:
        """Grey frames, uint8 (h, w), in order, all of one size, at least one.

        Raises `InputError` where the file ends early, changes its size, has no frame, or shows nothing.
        """
        ...


def check_size(path: Path, columns: int, rows: int, frames: int) -> None:
    """Raise `InputError` where a header declares an impossible clip; asked before anything is allocated."""
    whole = columns * rows * frames
    fits = columns * rows <= LARGEST_FRAME_PX and frames <= MOST_FRAMES and whole <= LARGEST_CLIP_PX
    if min(columns, rows, frames) > 0 and fits:
        return
    raise InputError(
        file=path,
        found=f"a header that declares {frames} frames of {columns} x {rows} pixels",
        expected=f"1 to {MOST_FRAMES} frames of at most {LARGEST_FRAME_PX} pixels, {LARGEST_CLIP_PX} in all",
        remedy="export the sweep again; the header is damaged",
    )


def check_extent(path: Path, spacing_mm: tuple[float, float] | None, shape: tuple[int, ...]) -> None:
    """Raise `InputError` where the pixel size makes an image that no probe takes: metres, or micrometres, for millimetres.

    Args:
        spacing_mm: (h, w) of a pixel, None where unknown. shape: (rows, columns) of the frame.
    """
    if spacing_mm is None:
        return
    height, width = (side * count for side, count in zip(spacing_mm, shape, strict=True))
    if max(height, width) >= SMALLEST_MM and max(height, width) <= LARGEST_MM:
        return
    raise InputError(
        file=path,
        found=f"pixels of {spacing_mm[0]:.4g} x {spacing_mm[1]:.4g} mm, and so an image of {height:.4g} x {width:.4g} mm",
        expected=f"an image between {SMALLEST_MM:g} and {LARGEST_MM:g} mm long",
        remedy="correct the pixel size, which is in millimetres; in cohort.csv it is spacing_mm",
    )


def refuse_blank(path: Path, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The frames of a clip as they come; raises `InputError` after the last one where all of them show nothing.

    A clip that is black, of one grey value or saturated throughout was decoded or exported wrongly.
    """
    low, high, dark, bright, size = 255, 0, 0, 0, 0
    for frame in frames:
        low, high = min(low, int(frame.min())), max(high, int(frame.max()))
        dark += int(np.count_nonzero(frame <= DARK))
        bright += int(np.count_nonzero(frame >= BRIGHT))
        size += frame.size
        yield frame
    if not size:
        return
    if dark >= BLANK_SHARE * size:
        found = f"a clip that is black: at least {BLANK_SHARE:.2%} of its pixels have grey values of at most {DARK}"
    elif bright >= BLANK_SHARE * size:
        found = f"a clip that is saturated: at least {BLANK_SHARE:.2%} of its pixels have grey values from {BRIGHT} up"
    elif low == high:
        found = f"a clip without a picture: every pixel has the grey value {low}"
    else:
        return
    raise InputError(
        file=path,
        found=found,
        expected="an ultrasound image",
        remedy="look at it with `uscl-med3d inspect` and with the program that made it, then export the sweep again",
    )
