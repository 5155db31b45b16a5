"""Layers shared by the parts: channel norm, MLPs, and convolutions written as matrix products.

The parameter holders keep the official module types, so that names and shapes in a `state_dict` are
official; the functions here only read their weights. All of them work on channels-last tensors, where a
channel norm is an ordinary LayerNorm and a convolution whose stride equals its kernel is a matrix product.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LayerNorm3d(nn.Module):
    """Normalisation over channels; parameters as in the official channels-first module."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Channels-first (b, c, d, h, w), like the official module."""
        return self.channels_last(x.movedim(1, -1)).movedim(-1, 1)

    def channels_last(self, x: Tensor) -> Tensor:
        """Channels-last (..., c)."""
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class MLPBlock(nn.Module):
    """Two linear layers with an activation between, (..., c) -> (..., c)."""

    def __init__(self, dim: int, hidden: int, activation: nn.Module) -> None:
        super().__init__()
        self.lin1 = nn.Linear(dim, hidden)
        self.lin2 = nn.Linear(hidden, dim)
        self.act = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.lin2(self.act(self.lin1(x)))


class MLP(nn.Module):
    """`depth` linear layers with ReLU between them, (..., in) -> (..., out)."""

    def __init__(self, in_dim: int, hidden: int, out_dim: int, depth: int) -> None:
        super().__init__()
        widths = [in_dim, *[hidden] * (depth - 1), out_dim]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


def split_patches(x: Tensor, side: int) -> Tensor:
    """Channels-last (b, d, h, w, c) to (b, d/side, h/side, w/side, c * side**3), channel slowest."""
    b, d, h, w, c = x.shape
    x = x.reshape(b, d // side, side, h // side, side, w // side, side, c)
    return x.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(b, d // side, h // side, w // side, c * side**3)


def strided_convolution(x: Tensor, convolution: nn.Conv3d) -> Tensor:
    """A convolution with stride = kernel on channels-last (b, d, h, w, c_in), as one matrix product."""
    return F.linear(
        split_patches(x, convolution.kernel_size[0]), convolution.weight.flatten(1), convolution.bias
    )


def doubling_convolution(x: Tensor, convolution: nn.ConvTranspose3d | nn.ConvTranspose2d) -> Tensor:
    """A transposed convolution with kernel = stride = 2 as one matrix product.

    (..., c_in) -> (..., 2, 2, 2, c_out), with two such axes for a 2D convolution; the new axes are the position
    inside each doubled cell. They stay separate: what follows acts on channels only, so the many voxels need not be
    brought into order before they are reduced to a mask.
    """
    assert convolution.bias is not None  # as everywhere in SAM
    (c_in, c_out), cell = convolution.weight.shape[:2], convolution.weight.shape[2:]
    axes = range(2, convolution.weight.dim())
    weight = convolution.weight.permute(*axes, 1, 0).reshape(cell.numel() * c_out, c_in)
    return F.linear(x, weight, convolution.bias.repeat(cell.numel())).unflatten(-1, (*cell, c_out))
