"""A small residual network of single frames (2D): the encoder that pretext tasks are compared on from random weights.

Source: He et al. 2016, basic blocks. Group normalisation in place of batch normalisation: a moving average of the network
then needs no statistics of its own, and small batches of one patient mean the same as large ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from uscl_med3d.core.seeds import derive

_GROUPS = 4


class Block(nn.Module):
    """Two convolutions and a shortcut, (n, a, h, w) -> (n, b, h / stride, w / stride)."""

    def __init__(self, a: int, b: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(a, b, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(b, b, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList(nn.GroupNorm(_GROUPS, b) for _ in range(2))
        straight = a == b and stride == 1
        self.shortcut = nn.Identity() if straight else nn.Conv2d(a, b, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        found = torch.relu(self.norms[0](self.first(x)))
        return torch.relu(self.norms[1](self.second(found)) + self.shortcut(x))


class FrameResNet(nn.Module):
    """Frames (n, 1, s, s) -> feature map (n, widths[-1], g, g); s is halved by the stem and by every stage but the first."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, widths[0], 5, 2, 2, bias=False)
        self.norm = nn.GroupNorm(_GROUPS, widths[0])
        pairs = [(widths[0], widths[0], 1), *((a, b, 2) for a, b in pairwise(widths))]
        self.blocks = nn.Sequential(*(Block(*pair) for pair in pairs))

    def forward(self, x: Tensor) -> Tensor:
        return self.list_stages(x)[-1]

    def list_stages(self, x: Tensor) -> list[Tensor]:
        """Feature maps after every stage, (n, widths[i], g_i, g_i); the last one is the output."""
        x, found = torch.relu(self.norm(self.stem(x))), []
        for block in self.blocks:
            x = block(x)
            found.append(x)
        return found


def build_frame_resnet(widths: Sequence[int], seed: int) -> FrameResNet:
    """The network with random weights of the stream "frame encoder" under `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "frame encoder"))
        return FrameResNet(widths)
