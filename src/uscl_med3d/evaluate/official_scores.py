"""Scores of single images exactly as other repositories compute them, traps included.

They are for comparing with published numbers. Our own tables use `evaluate.metrics`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_SMOOTH = 1e-5


class SamusScores(NamedTuple):
    """Fractions; `row_distance` in pixels, see below."""

    dice: float
    iou: float
    accuracy: float
    sensitivity: float
    specificity: float
    row_distance: float


def samus_scores(predicted: np.ndarray, truth: np.ndarray) -> SamusScores:
    """Scores of one binary mask (h, w), each with 1e-5 added above and below the line.

    Source: xianlin7/SAMUS@030ed07cebe4:utils/metrics.py and utils/evaluation.py (behaviour only).
    """
    predicted, truth = predicted.astype(bool), truth.astype(bool)
    tp, tn = int((predicted & truth).sum()), int((~predicted & ~truth).sum())
    fp, fn = int((predicted & ~truth).sum()), int((~predicted & truth).sum())

    def share(part: int, whole: int) -> float:
        return (part + _SMOOTH) / (whole + _SMOOTH)

    return SamusScores(
        dice=share(2 * tp, 2 * tp + fp + fn),
        iou=share(tp, tp + fp + fn),
        accuracy=share(tp + tn, tp + tn + fp + fn),
        sensitivity=share(tp, tp + fn),
        specificity=share(tn, tn + fp),
        row_distance=row_distance(predicted, truth),
    )


def row_distance(predicted: np.ndarray, truth: np.ndarray) -> float:
    """What SAMUS's evaluation calls Hausdorff distance: it compares rows of the images, not points of the shapes.

    Each row is taken as one point; its distance to another row is the number of pixels in which they differ.
    """
    a, b = predicted.astype(np.int64), truth.astype(np.int64)
    apart = np.abs(a[:, None] - b[None]).sum(-1)
    return float(max(apart.min(1).max(), apart.min(0).max()))


def camus_prediction(logits: np.ndarray) -> np.ndarray:
    """The map (n, h, w) that SAMUS's CAMUS evaluation scores: the largest channel of (n, c, h, w).

    SAMUS has one channel, so every pixel is channel 0, the background: its Dice is 0 whatever the network says.
    """
    return logits.argmax(1)


def samed_scores(predicted: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Dice and 95 % Hausdorff distance in voxels; 1 and 0 for a prediction without truth, 0 and 0 for the rest.

    Source: hitachinsk/SAMed@e351840481f5:utils.py through medpy (behaviour only).
    """
    predicted, truth = predicted.astype(bool), truth.astype(bool)
    if predicted.any() and truth.any():
        dice = 2 * int((predicted & truth).sum()) / int(predicted.sum() + truth.sum())
        return dice, hausdorff_95(predicted, truth)
    return (1.0, 0.0) if predicted.any() else (0.0, 0.0)


def hausdorff_95(one: np.ndarray, two: np.ndarray) -> float:
    """95 % of the distances between the borders of two masks, both ways together, in pixels; neither is empty."""
    from scipy.ndimage import binary_erosion, distance_transform_edt

    rows, columns = np.nonzero(one | two)
    box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    # Erosion sees background beyond the box, as it does beyond the image.
    borders = [mask[box] & ~binary_erosion(mask[box]) for mask in (one, two)]
    distances = [distance_transform_edt(~other)[border] for border, other in (borders, borders[::-1])]
    return float(np.percentile(np.concatenate(distances), 95))


def msa_scores(logits: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """IoU and Dice, the mean over thresholds 0.1 to 0.9 on raw logits and on the truth, (n, 1, h, w) each.

    Source: KidsWithTokens/Medical-SAM-Adapter@4dcdc63c65c5:utils.py (behaviour only).
    """
    ious, dices = [], []
    axes = tuple(range(1, logits.ndim))
    for threshold in (0.1, 0.3, 0.5, 0.7, 0.9):
        a, b = logits > threshold, truth > threshold
        both = (a & b).sum(axes)
        ious.append(np.mean((both + 1e-6) / ((a | b).sum(axes) + 1e-6)))
        dices.append(np.mean((2 * both + 1e-4) / (a.sum(axes) + b.sum(axes) + 1e-4)))
    return float(np.mean(ious)), float(np.mean(dices))
