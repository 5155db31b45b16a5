"""Which key frames prompt which frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def choose_prompts(frame: int, key_frames: Sequence[int], count: int) -> list[int]:
    """Up to `count` key frames for `frame`: the nearest on each side first, then the nearest of the rest.

    Both sides first, because a shape in between lies between the two; ties go to the earlier key frame. The
    result is ordered by distance.
    """
    by_distance = sorted(key_frames, key=lambda key: (abs(key - frame), key))
    before = [key for key in by_distance if key <= frame][:1]
    after = [key for key in by_distance if key > frame][:1]
    enclosing = sorted(before + after, key=by_distance.index)
    rest = [key for key in by_distance if key not in enclosing]
    return sorted((enclosing + rest)[:count], key=by_distance.index)


def weigh_prompts(frame: int, prompts: Sequence[int], rule: str) -> np.ndarray:
    """Share of each prompt in the feature ensemble (k,), summing to 1.

    rule: `equal` (SegGPT's own ensemble) or `inverse_distance` (in frames; between two key frames this is
    linear).
    """
    if rule == "equal":
        return np.full(len(prompts), 1 / len(prompts))
    closeness = 1 / np.abs(np.asarray(prompts, dtype=float) - frame)
    return closeness / closeness.sum()


def count_frames_outside(frame: int, key_frames: Sequence[int]) -> int:
    """How many frames before the first or after the last key frame; 0 in between."""
    return max(min(key_frames) - frame, frame - max(key_frames), 0)
