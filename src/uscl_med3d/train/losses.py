"""The segmentation loss of SAM-Med3D: Dice plus binary cross-entropy of one object against the rest.

Equal to `monai.losses.DiceCELoss(sigmoid=True, squared_pred=True)` of MONAI 1.6 where every voxel counts (a
test compares them). Written here because importing MONAI costs seconds in each of many short jobs, and
because MONAI's mean of the cross-entropy would count ignored voxels as solved ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_SMOOTH = 1e-5  # MONAI's smoothing of numerator and denominator


def dice_cross_entropy(logits: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    """Mean over the batch of soft Dice loss plus mean binary cross-entropy, as a scalar.

    Args:
        logits: (b, 1, d, h, w). target: the same shape, 0 or 1. counts: the same shape, 1 where the voxel
        counts and 0 where it is ignored; ignored voxels enter neither sum.

    Source: uni-medical/SAM-Med3D@f3de1fa10da9:train.py through MONAI 1.6 (behaviour only).
    """
    logits, target, counts = logits.float(), target.float(), counts.float()
    axes = tuple(range(1, logits.ndim))
    probability = torch.sigmoid(logits) * counts
    truth = target * counts
    overlap = (probability * truth).sum(axes)
    size = probability.square().sum(axes) + truth.sum(axes)  # a truth of 0 and 1 is its own square
    dice = 1 - (2 * overlap + _SMOOTH) / (size + _SMOOTH)
    entropy = F.binary_cross_entropy_with_logits(logits, target, weight=counts, reduction="sum")
    return dice.mean() + entropy / counts.sum().clamp(min=1)
