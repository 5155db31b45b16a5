"""Metrics of one prediction: Dice here, surface metrics by MONAI in stated units."""

from __future__ import annotations

import math

import numpy as np

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
        return _monai_scores(prediction[None], truth[None], distance.spacing, tolerance)
    used = prediction.any((1, 2)) | truth.any((1, 2))
    both = prediction.any((1, 2)) & truth.any((1, 2))
    if not both.any():
        return 0.0, math.nan
    nsd, hd95 = _monai_scores(prediction[both], truth[both], distance.spacing[1:], tolerance)
    return nsd * float(both.sum() / used.sum()), hd95


def _monai_scores(
    prediction: np.ndarray, truth: np.ndarray, spacing: tuple[float, ...], tolerance: float
) -> tuple[float, float]:
    """Means over the first axis of MONAI's NSD (percent) and HD95."""
    # Here because importing MONAI takes seconds, and jobs without surface metrics need none of it.
    import torch
    from monai.metrics import compute_hausdorff_distance, compute_surface_dice

    y_pred, y = (torch.from_numpy(mask[:, None].astype(np.float32)) for mask in (prediction, truth))
    nsd = compute_surface_dice(y_pred, y, [tolerance], include_background=True, spacing=list(spacing))
    hd95 = compute_hausdorff_distance(
        y_pred, y, include_background=True, percentile=95.0, spacing=list(spacing)
    )
    return 100.0 * float(nsd.mean()), float(hd95.mean())


def _bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """Both metrics depend on what lies inside this box only, and cost less there."""
    box = []
    for axis in range(mask.ndim):
        found = np.flatnonzero(mask.any(tuple(other for other in range(mask.ndim) if other != axis)))
        box.append(slice(int(found[0]), int(found[-1]) + 1))
    return tuple(box)
