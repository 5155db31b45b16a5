"""The two trivial ways to fill the frames between key frames; they say what SegGPT is worth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.ndimage import distance_transform_edt


def copy_nearest_key_frame(key_masks: Mapping[int, np.ndarray], frames: int) -> np.ndarray:
    """Label volume (d, h, w): each frame has the label map of its nearest key frame (ties: the earlier
    one)."""
    keys = sorted(key_masks)
    return np.stack(
        [key_masks[min(keys, key=lambda key: (abs(key - frame), key))] for frame in range(frames)]
    )


def interpolate_shapes(key_masks: Mapping[int, np.ndarray], frames: int) -> np.ndarray:
    """Label volume (d, h, w) by shape-based interpolation (Raya and Udupa 1990, IEEE TMI 9:32-42).

    Per class the signed distance maps of the two enclosing key frames are averaged, weighted linearly by
    nearness; the class is where the average is positive, and the greatest average wins. Where a class is in
    only one of the two, the other map is the constant -(greatest depth of the shape), so the shape shrinks
    and is gone half-way. Outside the range of the key frames the nearest one is copied.
    """
    keys = sorted(key_masks)
    labels = sorted(set().union(*(np.unique(mask).tolist() for mask in key_masks.values())) - {0, 255})
    distances = {key: {label: signed_distance(key_masks[key] == label) for label in labels} for key in keys}
    shape = next(iter(key_masks.values())).shape
    volume = np.zeros((frames, *shape), dtype=np.uint8)
    for frame in range(frames):
        if frame in key_masks or not keys[0] < frame < keys[-1]:
            volume[frame] = key_masks[min(keys, key=lambda key: abs(key - frame))]
            continue
        before = max(key for key in keys if key < frame)
        after = min(key for key in keys if key > frame)
        share = (frame - before) / (after - before)
        best = np.zeros(shape)
        for label in labels:
            middle = _blend(distances[before][label], distances[after][label], share)
            if middle is not None:
                wins = middle > best
                volume[frame][wins] = label
                best[wins] = middle[wins]
    return volume


def signed_distance(mask: np.ndarray) -> np.ndarray | None:
    """Distance in pixels to the outline of `mask` (h, w), positive inside; None for an empty mask.

    Half a pixel is taken off, so that the outline runs between the pixels.
    """
    if not mask.any():
        return None
    if mask.all():
        return np.full(mask.shape, float(max(mask.shape)))
    inside = distance_transform_edt(mask)
    outside = distance_transform_edt(~mask)
    return np.where(mask, inside - 0.5, 0.5 - outside)


def _blend(before: np.ndarray | None, after: np.ndarray | None, share: float) -> np.ndarray | None:
    if before is None:
        if after is None:
            return None
        before = np.full_like(after, -after.max())
    if after is None:
        after = np.full_like(before, -before.max())
    return (1 - share) * before + share * after
