"""Metrics of one prediction: Dice, and surface metrics in stated units."""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import binary_erosion, distance_transform_edt

from uscl_med3d.evaluate.cases import Distance

BOTH_EMPTY = "undefined: neither the reference nor the prediction has a voxel"


def dice_percent(overlap: int, predicted: int, true: int, empty_masks: str) -> float:
    """2 |A and B| / (|A| + |B|) in percent from voxel counts.

    Both empty: NaN for the rule `undefined`, 100 for `full_score`. One empty: 0.
    """
    if predicted + true == 0:
        return 100.0 if empty_masks == "full_score" else math.nan
    return 200.0 * overlap / (predicted + true)


def surface_scores(
    prediction: np.ndarray, truth: np.ndarray, distance: Distance, tolerance: float
) -> tuple[float, float]:
    """Normalised surface Dice in percent at `tolerance`, and the 95 % Hausdorff distance, in the distance's
    unit.

    Args:
        prediction, truth: boolean (d, h, w); the truth has a voxel.
        distance: in-plane distances are computed frame by frame: frames where one mask is empty count as 0 in
            the NSD, and the HD95 is the mean over frames that have both.

    Returns:
        NSD and HD95. Without a prediction NSD is 0 and HD95 undefined (NaN).
    """
    if not prediction.any():
        return 0.0, math.nan
    box = _bounding_box(prediction | truth)
    prediction, truth = np.pad(prediction[box], 1), np.pad(truth[box], 1)
    if distance.unit != "mm_in_plane":
        return _mean_scores(prediction[None], truth[None], distance.spacing, tolerance)
    used = prediction.any((1, 2)) | truth.any((1, 2))
    both = prediction.any((1, 2)) & truth.any((1, 2))
    if not both.any():
        return 0.0, math.nan
    nsd, hd95 = _mean_scores(prediction[both], truth[both], distance.spacing[1:], tolerance)
    return nsd * float(both.sum() / used.sum()), hd95


def _mean_scores(
    prediction: np.ndarray, truth: np.ndarray, spacing: tuple[float, ...], tolerance: float
) -> tuple[float, float]:
    """Means over the first axis of NSD (percent) and HD95; every mask has a voxel."""
    found = [_score_surfaces(a, b, spacing, tolerance) for a, b in zip(prediction, truth, strict=True)]
    nsd, hd95 = np.mean(found, axis=0)
    return float(nsd), float(hd95)


def _score_surfaces(
    prediction: np.ndarray, truth: np.ndarray, spacing: tuple[float, ...], tolerance: float
) -> tuple[float, float]:
    """NSD (percent) and HD95 of two masks, as MONAI's `compute_surface_dice` and `compute_hausdorff_distance`.

    A test compares them. MONAI itself is slower, and slow to import, which every job would do.
    """
    edges = [mask & ~binary_erosion(mask) for mask in (prediction, truth)]
    to_prediction, to_truth = (distance_transform_edt(~edge, sampling=spacing) for edge in edges)
    distances = [to_truth[edges[0]], to_prediction[edges[1]]]
    near = sum(int((one <= tolerance).sum()) for one in distances)
    total = sum(one.size for one in distances)
    return 100.0 * near / total, max(float(np.percentile(one, 95)) for one in distances)


def _bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """Both metrics depend on what lies inside this box only, and cost less there."""
    box = []
    for axis in range(mask.ndim):
        found = np.flatnonzero(mask.any(tuple(other for other in range(mask.ndim) if other != axis)))
        box.append(slice(int(found[0]), int(found[-1]) + 1))
    return tuple(box)
