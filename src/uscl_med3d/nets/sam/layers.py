"""Convolutions of SAM written as matrix products on channels-last tensors (b, h, w, c)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from uscl_med3d.nets.sam_med3d.layers import LayerNorm3d


class LayerNorm2d(LayerNorm3d):
    """Normalisation over channels with eps 1e-6; parameters as in the official channels-first module."""


def strided_convolution(x: Tensor, convolution: nn.Conv2d) -> Tensor:
    """A convolution whose stride is its kernel, on channels-last (b, h, w, c_in), as one matrix product."""
    b, h, w, c = x.shape
    side = convolution.kernel_size[0]
    x = x.reshape(b, h // side, side, w // side, side, c).permute(0, 1, 3, 5, 2, 4)
    x = x.reshape(b, h // side, w // side, c * side**2)
    return F.linear(x, convolution.weight.flatten(1), convolution.bias)
