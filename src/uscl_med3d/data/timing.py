"""Frames that a recording repeated, dropped or damaged, as far as its frames, time stamps and decoder tell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

GAP = 1.5  # an interval longer than this many usual ones has lost frames
MOST_LISTED = 20  # per kind; the count says how many there are


class FrameTimes(list[float | None]):
    """Time of each frame that was read, in seconds or None, and what else the reading of a clip found.

    Attributes:
        damaged: frames that the decoder marked as damaged, and those that were made from them.
        missing: frames that the container declares and that are not there, after the last one.
        gaps: (frame, missing) of frames that are not there behind a frame, where numbers or positions say so.
        unreadable: names of files of a series that could not be read.
    """

    def __init__(self, times: Iterable[float | None] = ()) -> None:
        super().__init__(times)
        self.damaged: list[int] = []
        self.missing = 0
        self.gaps: list[tuple[int, int]] = []
        self.unreadable: list[str] = []


def find_irregular(repeated: Sequence[int], times_s: Sequence[float | None] | None) -> dict[str, Any] | None:
    """What is irregular about the frames of a clip, for the sidecar; None where nothing is.

    Frames are used as they come, whatever is found here: nothing is left out and nothing invented.

    Args:
        repeated: frames that equal the one before, pixel by pixel.
        times_s: time of every frame in seconds, where the file has any; `FrameTimes` say more.

    Returns:
        repeated_frames, damaged_frames and dropped_frames (how many), repeated, damaged and gaps (the first of them; a gap
        is the frame before it and how many frames are missing by numbers, positions or the usual, that is the median,
        interval), missing_at_end, interval_s (shortest, median, longest), unreadable_files (names).
    """
    result: dict[str, Any] = {}
    if repeated:
        result |= {"repeated_frames": len(repeated), "repeated": list(repeated[:MOST_LISTED])}
    found = times_s if isinstance(times_s, FrameTimes) else FrameTimes()
    if found.damaged:
        result |= {"damaged_frames": len(found.damaged), "damaged": found.damaged[:MOST_LISTED]}
    gaps, interval = _find_gaps(times_s)
    gaps = gaps or found.gaps
    if gaps or found.missing:
        result["dropped_frames"] = sum(missing for _, missing in gaps) + found.missing
    if gaps:
        result["gaps"] = [{"after_frame": frame, "missing": missing} for frame, missing in gaps[:MOST_LISTED]]
    if found.missing:
        result["missing_at_end"] = found.missing
    if interval is not None:
        result["interval_s"] = interval
    if found.unreadable:
        result["unreadable_files"] = found.unreadable
    return result or None


def _find_gaps(
    times_s: Sequence[float | None] | None,
) -> tuple[list[tuple[int, int]], list[float] | None]:
    """(frame before, missing) of every gap, and the intervals where they vary."""
    if times_s is None or len(times_s) < 3 or None in times_s:
        return [], None
    steps = np.diff(np.array(times_s, float))
    usual = float(np.median(steps))
    if not (usual > 0 and np.isfinite(steps).all()):
        return [], None
    gaps = [(int(i), round(float(steps[i]) / usual) - 1) for i in np.flatnonzero(steps > GAP * usual)]
    varies = bool(gaps) or steps.max() - steps.min() > 0.1 * usual
    return gaps, [round(float(value), 6) for value in (steps.min(), usual, steps.max())] if varies else None
