"""Projection head of the contextual-position task; dropped after pretraining."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn


class VclHead(nn.Module):
    """Pooled encoder features (k, in_dim) to embeddings (k, out_dim).

    Args:
        kind: `linear`, the paper's; or `mlp`, VoCo's: three linear layers with batch normalisation (no affine
        part, no
            running statistics, so the crops of a batch always see each other) and ReLU between them
            (Luffy03/VoCo@ba7b7bd22e98:models/voco_head.py, behaviour only).
        in_dim: channels of the encoder's output.
        hidden_dim: width of the `mlp`; without effect for `linear`.
        out_dim: channels of an embedding.
        generator: draws the start (uniform in +-1/sqrt(inputs), as torch's linear layers).
    """

    def __init__(
        self,
        kind: Literal["linear", "mlp"],
        in_dim: int,
        hidden_dim: int,
        out_dim: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        widths = [in_dim, out_dim] if kind == "linear" else [in_dim, hidden_dim, hidden_dim, out_dim]
        layers: list[nn.Module] = []
        for a, b in pairwise(widths):
            if layers:
                layers += [nn.BatchNorm1d(a, affine=False, track_running_stats=False), nn.ReLU()]
            # Drawn below: the constructor would use the global generator.
            layers.append(nn.utils.skip_init(nn.Linear, a, b))
        self.layers = nn.Sequential(*layers)
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                bound = 1 / math.sqrt(layer.in_features)
                for value in (layer.weight, layer.bias):
                    nn.init.uniform_(value, -bound, bound, generator=generator)

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)
