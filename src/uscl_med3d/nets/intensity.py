"""Intensity normalisation shared by every method that sees volumes."""

from __future__ import annotations

import torch
from torch import Tensor


def zscore_foreground(x: Tensor) -> Tensor:
    """Z-score each volume by its voxels above zero, (b, 1, d, h, w) -> the same shape in float32 or wider.

    Mean and sample standard deviation are taken over voxels > 0 and applied to all voxels, so that what lies
    outside the ultrasound fan becomes one negative constant. A volume whose foreground has no spread (empty,
    one voxel, constant) is centred only: it carries no contrast to scale.

    Source: uni-medical/SAM-Med3D@f3de1fa10da9 (ZNormalization over voxels > 0), behaviour only.
    """
    x = x if x.dtype == torch.float64 else x.float()
    axes = tuple(range(1, x.ndim))
    foreground = x > 0
    count = foreground.sum(axes, keepdim=True)
    mean = torch.where(foreground, x, 0).sum(axes, keepdim=True) / count.clamp(min=1)
    centred = x - mean
    squares = torch.where(foreground, centred, 0).square().sum(axes, keepdim=True)
    std = (squares / (count - 1).clamp(min=1)).sqrt()
    # Rounding leaves a constant foreground with a spread of a few ulps, which must not be blown up to 1.
    negligible = std <= 1e-6 * mean.abs()
    return centred / torch.where(negligible, torch.ones_like(std), std)
