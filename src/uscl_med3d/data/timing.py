"""Frames that a recording repeated or dropped, as far as its frames and time stamps tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

GAP = 1.5  # an interval longer than this many usual ones has lost frames
MOST_LISTED = 20  # per kind; the count says how many there are


def find_irregular(repeated: Sequence[int], times_s: Sequence[float | None] | None) -> dict[str, Any] | None:
    """What is irregular about the frames of a clip, for the sidecar; None where nothing is.

    Frames are used as they come, whatever is found here: nothing is left out and nothing invented.

    Args:
        repeated: frames that equal the one before, pixel by pixel.
        times_s: time of every frame in seconds, where the file has any.

    Returns:
        repeated_frames and dropped_frames (how many), repeated and gaps (the first of them; a gap is the frame before it and
        how many frames are missing by the usual, that is the median, interval), interval_s (shortest, median, longest).
    """
    result: dict[str, Any] = {}
    if repeated:
        result |= {"repeated_frames": len(repeated), "repeated": list(repeated[:MOST_LISTED])}
    if times_s is not None and len(times_s) > 2 and None not in times_s:
        steps = np.diff(np.array(times_s, float))
        usual = float(np.median(steps))
        if usual > 0 and np.isfinite(steps).all():
            gaps = [(int(i), round(float(steps[i]) / usual) - 1) for i in np.flatnonzero(steps > GAP * usual)]
            if gaps:
                listed = [{"after_frame": frame, "missing": missing} for frame, missing in gaps[:MOST_LISTED]]
                result |= {"dropped_frames": sum(missing for _, missing in gaps), "gaps": listed}
            if gaps or steps.max() - steps.min() > 0.1 * usual:
                result["interval_s"] = [round(float(value), 6) for value in (steps.min(), usual, steps.max())]
    return result or None
