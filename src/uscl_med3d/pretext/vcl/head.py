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
            part, no running statistics, so the crops of a batch always see each other) and ReLU between them
            (Luffy03/VoCo@ba7b7bd22e98:models/voco_head.py, behaviour only).
        in_dim: channels of the encoder's output.
        hidden_dim: width of the `mlp`; without effect for `linear`.
        out_dim: channels of an embedding.
        components: principal components that the linear head starts from, see `whiten`; without effect for
            `mlp`.
        generator: draws the weights (uniform in +-1/sqrt(inputs)); biases start at zero.
    """

    def __init__(
        self,
        kind: Literal["linear", "mlp"],
        in_dim: int,
        hidden_dim: int,
        out_dim: int,
        components: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.mean: Tensor | None
        self.basis: Tensor | None
        linear = kind == "linear"
        widths = [min(components, in_dim), out_dim] if linear else [in_dim, hidden_dim, hidden_dim, out_dim]
        self.register_buffer("mean", torch.zeros(in_dim) if linear else None)
        self.register_buffer("basis", torch.eye(in_dim, widths[0]) if linear else None)
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
                nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
                nn.init.zeros_(layer.bias)

    @torch.no_grad()
    def whiten(self, features: Tensor) -> None:
        """Start the linear head from the principal components of features (m, in_dim), at unit variance.

        Crops share almost all of their pooled features (cosines above 0.99 in a trained encoder), and at
        equal embeddings |cosine| has no slope: from an arbitrary start the losses stay as they are. Mean and
        components stay fixed and could be multiplied into the linear layer, so the head remains linear.
        """
        if self.mean is None or self.basis is None:
            return
        mean = features.double().mean(0)
        _, scale, rows = torch.linalg.svd(features.double() - mean, full_matrices=False)
        kept = (scale > 1e-4 * scale[0])[: self.basis.shape[1]]
        weights = len(features) ** 0.5 / scale[: len(kept)] * kept
        basis = torch.zeros_like(self.basis, dtype=torch.float64)
        basis[:, : len(kept)] = rows[: len(kept)].T * weights
        self.mean.copy_(mean)
        self.basis.copy_(basis)

    def forward(self, features: Tensor) -> Tensor:
        if self.mean is not None and self.basis is not None:
            features = (features - self.mean) @ self.basis
        return self.layers(features)
