"""A clip that is decoded once where memory allows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from uscl_med3d.data.clips.base import Clip, ClipInfo, Note
from uscl_med3d.data.timing import FrameTimes

# Decoding is most of the work of ingest; a usual sweep (140 frames of 600 x 740) takes 62 MB of this.
MEMORY_BYTES = 256 * 2**20


class CachedClip:
    """Replays the frames of `clip` from memory after the first complete pass, if they fit in MEMORY_BYTES."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._kept: list[np.ndarray] | None = None

    @property
    def info(self) -> ClipInfo:
        """Facts of the clip; some formats know them only when the frames have been read."""
        return self._clip.info

    @property
    def affine(self) -> np.ndarray | None:
        """Place of the clip, see `Clip`."""
        return self._clip.affine

    @property
    def times_s(self) -> FrameTimes | None:
        """Time of each frame that was read, where the clip knows it."""
        return self._clip.times_s

    @property
    def notes(self) -> list[Note]:
        """What was assumed."""
        return self._clip.notes

    def frames(self) -> Iterator[np.ndarray]:
        """Grey frames, uint8 (h, w), as from the clip itself; not to be written to."""
        if self._kept is not None:
            yield from self._kept
            return
        kept: list[np.ndarray] = []
        size = 0
        for frame in self._clip.frames():
            size += frame.nbytes
            if size <= MEMORY_BYTES:
                kept.append(frame)
            else:
                kept.clear()
            yield frame
        if size <= MEMORY_BYTES:
            self._kept = kept
