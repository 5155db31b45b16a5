"""Projection heads and the voxel decoders; all of them are thrown away after pretraining."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from uscl_med3d.core.seeds import derive


def projection_head(widths: list[int], seed: int, *names: str) -> nn.Sequential:
    """(n, widths[0]) -> (n, widths[-1]): Linear, batch normalisation, ReLU; the last Linear stands alone, without bias.

    The statistics are always those of the batch, so nothing but the parameters is kept between steps. Drawn from the
    stream `names`. Source: google-deepmind/deepmind-research@f5de0ede8430:byol/utils/networks.py (behaviour only).
    """
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "pretrain", *names))
        for a, b in pairwise(widths[:-1]):
            layers += [nn.Linear(a, b), nn.BatchNorm1d(b, track_running_stats=False), nn.ReLU()]
        layers.append(nn.Linear(widths[-2], widths[-1], bias=False))
    return nn.Sequential(*layers)


class LinearDecoder(nn.Module):
    """Voxels of a patch from its own cell's embedding: (n, cells, c) -> (n, cells, voxels); SimMIM's."""

    def __init__(self, channels: int, voxels: int) -> None:
        super().__init__()
        self.voxels = nn.Linear(channels, voxels)

    def forward(self, cells: Tensor, hidden: Tensor) -> Tensor:
        return self.voxels(cells)


class TransformerDecoder(nn.Module):
    """Voxels of every patch from the visible cells' embeddings: (n, cells, c) -> (n, cells, voxels); MAE's.

    What the encoder says of a hidden cell is replaced by one learned token; positions are learned.
    """

    def __init__(self, channels: int, cells: int, voxels: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.narrow = nn.Linear(channels, width)
        self.token = nn.Parameter(0.02 * torch.randn(width))
        self.positions = nn.Parameter(0.02 * torch.randn(cells, width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(depth)
        )
        self.norm, self.voxels = nn.LayerNorm(width), nn.Linear(width, voxels)

    def forward(self, cells: Tensor, hidden: Tensor) -> Tensor:
        narrow = self.narrow(cells)
        tokens = torch.where(hidden[..., None], self.token.to(narrow.dtype), narrow) + self.positions
        for block in self.blocks:
            tokens = block(tokens)
        return self.voxels(self.norm(tokens))
