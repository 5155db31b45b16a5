"""Losses of the two-dimensional foundation models, as their trainers compute them.

Logits are (b, c, h, w). Truth is a float tensor of 0 and 1 of the same shape, or for `samed_loss` integer labels.
Every function returns the loss and its parts by name.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

_SMOOTH = 1e-5
Parts = dict[str, Tensor]


def samus_loss(logits: Tensor, truth: Tensor) -> tuple[Tensor, Parts]:
    """0.8 Dice + 0.2 cross-entropy; object pixels weigh double, and Dice is that of the whole batch at once.

    Source: xianlin7/SAMUS@030ed07cebe4:utils/loss_functions/sam_loss.py (behaviour only).
    """
    parts = {"dice": _dice(logits.sigmoid(), truth, axes=None), "bce": _weighted_entropy(logits, truth)}
    return 0.8 * parts["dice"] + 0.2 * parts["bce"], parts


def msa_loss(logits: Tensor, truth: Tensor) -> tuple[Tensor, Parts]:
    """Cross-entropy alone, object pixels weigh double.

    Source: KidsWithTokens/Medical-SAM-Adapter@4dcdc63c65c5:function.py (behaviour only).
    """
    parts = {"bce": _weighted_entropy(logits, truth)}
    return parts["bce"], parts


def samed_loss(logits: Tensor, labels: Tensor, ce_weight: float) -> tuple[Tensor, Parts]:
    """Cross-entropy and Dice of softmax over all classes, background included, of the whole batch at once.

    Args:
        logits: (b, c, h, w). labels: integers (b, h, w) below c. ce_weight: of the cross-entropy; Dice has the
            rest of 1.

    Source: hitachinsk/SAMed@e351840481f5:trainer.py and utils.py (behaviour only).
    """
    classes = F.one_hot(labels.long(), logits.shape[1]).movedim(-1, 1).to(logits.dtype)
    parts = {
        "ce": F.cross_entropy(logits, labels.long()),
        "dice": _dice(logits.softmax(1), classes, axes=(0, 2, 3)).mean(),
    }
    return ce_weight * parts["ce"] + (1 - ce_weight) * parts["dice"], parts


def medsam_loss(logits: Tensor, truth: Tensor) -> tuple[Tensor, Parts]:
    """Mean over the batch of Dice, plus cross-entropy.

    Source: bowang-lab/MedSAM@d71e8a1a99ad:train_one_gpu.py through MONAI (behaviour only).
    """
    parts = {
        "dice": _dice(logits.sigmoid(), truth, axes=(2, 3)).mean(),
        "bce": F.binary_cross_entropy_with_logits(logits, truth),
    }
    return parts["dice"] + parts["bce"], parts


def litemedsam_loss(logits: Tensor, truth: Tensor, predicted_iou: Tensor) -> tuple[Tensor, Parts]:
    """`medsam_loss`, plus the squared error of the predicted IoU (b, 1).

    Source: bowang-lab/MedSAM@b0fab476e54e:train_one_gpu.py (behaviour only).
    """
    total, parts = medsam_loss(logits, truth)
    parts["iou"] = F.mse_loss(predicted_iou, iou_of(logits, truth))
    return total + parts["iou"], parts


def iou_of(logits: Tensor, truth: Tensor) -> Tensor:
    """IoU of the mask where the logit is positive, (b, c, h, w) -> (b, c); 0 where both are empty."""
    predicted, real = logits > 0, truth > 0.5
    union = (predicted | real).sum((2, 3))
    return (predicted & real).sum((2, 3)) / union.clamp(min=1).to(logits.dtype)


def _dice(probability: Tensor, truth: Tensor, axes: tuple[int, ...] | None) -> Tensor:
    """1 - Dice with squared sizes, summed over `axes` (None: over everything)."""
    axes = axes or tuple(range(truth.dim()))
    overlap = (probability * truth).sum(axes)
    sizes = probability.square().sum(axes) + truth.square().sum(axes)
    return 1 - (2 * overlap + _SMOOTH) / (sizes + _SMOOTH)


def _weighted_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, truth, pos_weight=logits.new_tensor(2.0))
