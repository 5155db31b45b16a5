"""A clip that is decoded once where memory allows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from uscl_med3d.data.clips.base import Clip

# Decoding is most of the work of ingest; a usual sweep (140 frames of 600 x 740) takes 62 MB of this.
MEMORY_BYTES = 256 * 2**20


class CachedClip:
    """Replays the frames of `clip` from memory after the first complete pass, if they fit in MEMORY_BYTES."""

    def __init__(self, clip: Clip) -> None:
        self.info = clip.info
        self._clip = clip
        self._kept: list[np.ndarray] | None = None

    @property
    def times_s(self) -> list[float | None] | None:
        """Time of each frame that was read, where the clip knows it."""
        return getattr(self._clip, "times_s", None)

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
