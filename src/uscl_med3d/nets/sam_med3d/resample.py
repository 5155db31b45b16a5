"""Trilinear resampling of masks as three small matrix products."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor


def upsample_trilinear(x: Tensor, size: int) -> Tensor:
    """(b, m, d, h, w) -> (b, m, size, size, size), equal to `F.interpolate(..., align_corners=False)`.

    Interpolation is linear and separable, and one matrix product per axis is about ten times faster on a
    CPU than the kernel of `F.interpolate`, forward and backward.
    """
    b, m, d, h, w = x.shape
    along_d, along_h, along_w = (_weights(side, size, x.device, x.dtype) for side in (d, h, w))
    x = x.reshape(-1, w) @ along_w.T
    x = along_h @ x.reshape(-1, h, size)
    x = along_d @ x.reshape(b * m, d, size * size)
    return x.reshape(b, m, size, size, size)


@lru_cache(maxsize=16)
def _weights(side: int, size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Interpolation weights (size, side)."""
    # A cached inference tensor could not take part in a later training step.
    with torch.inference_mode(False), torch.no_grad():
        basis = torch.eye(side, dtype=torch.float64).unsqueeze(1)
        weights = F.interpolate(basis, size=size, mode="linear", align_corners=False).squeeze(1)
        return weights.T.contiguous().to(device, dtype)
