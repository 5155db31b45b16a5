"""What every clip format provides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from uscl_med3d.core.errors import InputError

# Refused by the header alone: a few bytes can declare more than any machine holds. A frame of 8192 x 8192 pixels, a
# clip of as many frames as ten minutes at 60 per second, and four hours of 1080p in all lie beyond every sweep.
LARGEST_FRAME_PX = 2**26
MOST_FRAMES = 36_000
LARGEST_CLIP_PX = 2**33


@dataclass(frozen=True)
class ClipInfo:
    """Facts of a clip that its header states; None where it does not.

    pixel_spacing_mm is (h, w); frame_spacing_mm is the distance between neighbouring frames of a tracked or
    reconstructed sweep.
    """

    format: str
    codec: str | None
    frames_per_second: float | None
    pixel_spacing_mm: tuple[float, float] | None
    frame_spacing_mm: float | None


class FrameSource(Protocol):
    """Whatever gives the grey frames of a clip, uint8 (h, w), in order."""

    def frames(self) -> Iterable[np.ndarray]: ...


class Clip(Protocol):
    """A sweep clip: facts, and a stream of frames that can be started more than once."""

    @property
    def info(self) -> ClipInfo: ...

    def frames(self) -> Iterator[np.ndarray]:
        """Grey frames, uint8 (h, w), in order, all of one size, at least one.

        Raises `InputError` where the file ends early, changes its size, or has no frame.
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
