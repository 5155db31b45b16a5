"""AdaptFormer: a small bottleneck beside the MLP of every transformer block.

Source: ShoufaChen/AdaptFormer@6967d676c1a5:models/adapter.py (behaviour only; the variant `parallel`, no
adapter norm, fixed scale, which is the official setting).
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BottleneckAdapter(nn.Module):
    """scale * up(relu(down(x))), (..., dim) -> (..., dim); dropout on the bottleneck while training.

    `up` starts at zero, so a fresh adapter adds nothing.
    """

    def __init__(
        self, dim: int, bottleneck: int, scale: float, dropout: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.down_proj = nn.Linear(dim, bottleneck)
        self.up_proj = nn.Linear(bottleneck, dim)
        self.scale, self.dropout, self.enabled = scale, dropout, True
        with torch.no_grad():
            bound = 1 / math.sqrt(dim)  # Kaiming-uniform with a = sqrt(5)
            weight = torch.empty(self.down_proj.weight.shape).uniform_(-bound, bound, generator=generator)
            self.down_proj.weight.copy_(weight)
            for value in (self.down_proj.bias, self.up_proj.weight, self.up_proj.bias):
                value.zero_()

    def forward(self, x: Tensor) -> Tensor:
        narrow = F.dropout(F.relu(self.down_proj(x)), self.dropout, self.training)
        return self.scale * self.up_proj(narrow)


class AdaptedBlock(nn.Module):
    """A transformer block with an adapter parallel to its MLP: x + mlp(norm2 x) + adapter(x), x not
    normalised.

    The block's own layers keep their names; the adapter is `adaptmlp`, as in official files.
    """

    def __init__(self, block: Any, adapter: BottleneckAdapter) -> None:
        super().__init__()
        self.norm1, self.attn, self.norm2, self.mlp = block.norm1, block.attn, block.norm2, block.mlp
        self.adaptmlp = adapter

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        out = x + self.mlp(self.norm2(x))
        return out + self.adaptmlp(x) if self.adaptmlp.enabled else out


class AdaptedMlp(nn.Module):
    """The MLP of a decoder block with an adapter parallel to it: mlp(x) + adapter(x); layers keep their names."""

    def __init__(self, mlp: Any, adapter: BottleneckAdapter) -> None:
        super().__init__()
        self.lin1, self.lin2, self.act = mlp.lin1, mlp.lin2, mlp.act
        self.adaptmlp = adapter

    def forward(self, x: Tensor) -> Tensor:
        out = self.lin2(self.act(self.lin1(x)))
        return out + self.adaptmlp(x) if self.adaptmlp.enabled else out


def add_to_encoder(
    encoder: Any, bottleneck: int, scale: float, dropout: float, generator: torch.Generator
) -> list[BottleneckAdapter]:
    """Replace every block of `encoder.blocks` by an adapted one, in place; return the adapters in order."""
    adapters = []
    for index, block in enumerate(encoder.blocks):
        adapter = BottleneckAdapter(block.mlp.lin1.in_features, bottleneck, scale, dropout, generator)
        encoder.blocks[index] = AdaptedBlock(block, adapter)
        adapters.append(adapter)
    return adapters


def add_to_decoder(
    decoder: Any, bottleneck: int, scale: float, dropout: float, generator: torch.Generator
) -> list[BottleneckAdapter]:
    """Adapt the MLP of every two-way block of a mask decoder, in place; return the adapters in order."""
    adapters = []
    for block in decoder.transformer.layers:
        adapter = BottleneckAdapter(block.mlp.lin1.in_features, bottleneck, scale, dropout, generator)
        block.mlp = AdaptedMlp(block.mlp, adapter)
        adapters.append(adapter)
    return adapters
