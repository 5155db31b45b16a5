"""Losses of SimCLR, BYOL, MAE and SimMIM as plain functions of tensors."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def ntxent(first: Tensor, second: Tensor, temperature: float, patients: Tensor | None) -> Tensor:
    """NT-Xent: every view must tell its other view from all other images; mean over the 2n views.

    Args:
        first, second: embeddings of the two views of n images, (n, c); normalised here.
        temperature: divides the cosines.
        patients: (n,) integers, or None. Given: other images of the same patient are left out of the denominator;
            the image's own other view stays the only positive.

    The official code (google-research/simclr@383d4143fd8c:tf2/objective.py) sums the two directions, which is twice
    this value; lightly and solo-learn return the mean, as here.
    """
    count = len(first)
    views = F.normalize(torch.cat([first, second]), dim=-1)
    places = torch.arange(2 * count, device=views.device)
    other = (places + count) % (2 * count)
    left_out = torch.eye(2 * count, dtype=torch.bool, device=views.device)
    if patients is not None:
        owner = patients.repeat(2)
        same = owner[:, None] == owner[None, :]
        same[places, other] = False
        left_out |= same
    similarity = (views @ views.T / temperature).masked_fill(left_out, -math.inf)
    return F.cross_entropy(similarity, other)


def byol_regression(prediction: Tensor, target: Tensor) -> Tensor:
    """Squared distance of the normalised vectors, (n, c) twice -> (n,); no gradient flows into the target.

    Source: google-deepmind/deepmind-research@f5de0ede8430:byol/utils/helpers.py (behaviour only).
    """
    return (F.normalize(prediction, dim=-1) - F.normalize(target.detach(), dim=-1)).square().sum(-1)


def byol_loss(predictions: tuple[Tensor, Tensor], targets: tuple[Tensor, Tensor]) -> Tensor:
    """Each view's prediction against the other view's target, summed over the directions, mean over the images."""
    forth = byol_regression(predictions[0], targets[1])
    return (forth + byol_regression(predictions[1], targets[0])).mean()


def byol_momentum(step: int, steps: int, base: float) -> float:
    """The target's share that stays at a step: from `base` to 1 along half a cosine.

    Source: google-deepmind/deepmind-research@f5de0ede8430:byol/utils/schedules.py (behaviour only).
    """
    return 1 - (1 - base) * (math.cos(math.pi * min(step, steps) / steps) + 1) / 2


def masked_error(prediction: Tensor, target: Tensor, counted: Tensor, power: int) -> Tensor:
    """Mean of |prediction - target| ** power over the voxels of the counted patches.

    Args:
        prediction, target: (n, patches, voxels). counted: (n, patches) bool. power: 2 (MAE) or 1 (SimMIM).

    Without a counted patch the loss is zero.
    """
    error = (prediction - target).abs().pow(power).mean(-1)
    weight = counted.to(error.dtype)
    return (error * weight).sum() / weight.sum().clamp(min=1)


def normalise_patches(patches: Tensor) -> Tensor:
    """Each patch at mean 0 and sample variance 1, (n, patches, voxels) -> the same; a constant patch becomes 0.

    Source: facebookresearch/mae (option `norm_pix_loss`), behaviour only.
    """
    mean, variance = patches.mean(-1, keepdim=True), patches.var(-1, keepdim=True)
    return (patches - mean) / (variance + 1e-6).sqrt()
