"""What every clip format provides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np


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


class Clip(Protocol):
    """A sweep clip: facts, and a stream of frames that can be started more than once."""

    info: ClipInfo

    def frames(self) -> Iterator[np.ndarray]:
        """Grey frames, uint8 (h, w), in order, all of one size, at least one.

        Raises `InputError` where the file ends early, changes its size, or has no frame.
        """
        ...
