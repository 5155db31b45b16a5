"""Features of the cells of a frame: what an encoder says of each cell, grey values around it, and its place."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from uscl_med3d.nets.frame_resnet import FrameResNet

_DEGREE = 4  # of the polynomials of place
_AROUND = 6  # grey values per side that are known of a cell, each half a cell wide


def stack_stages(encoder: FrameResNet, images: Tensor, grid: int) -> Tensor:
    """The maps of all stages, resampled to the cells and stacked: (n, 1, s, s) -> (n, sum of widths, grid, grid).

    Early stages are fine and know little, late ones are coarse and know more; a probe may use both.
    """
    return torch.cat([_resample(stage, grid) for stage in encoder.list_stages(images)], 1)


def _resample(maps: Tensor, grid: int) -> Tensor:
    if maps.shape[-1] > grid:
        return F.adaptive_avg_pool2d(maps, grid)
    return F.interpolate(maps, (grid, grid), mode="bilinear", align_corners=False)


def grey_values(images: Tensor, grid: int) -> Tensor:
    """Mean grey values of the 6 x 6 half cells around the middle of each cell: (n, 1, s, s) -> (n, 36, grid, grid)."""
    half = F.adaptive_avg_pool2d(images, 2 * grid)
    around = F.unfold(half, _AROUND, padding=_AROUND // 2 - 1, stride=2)
    return around.view(len(images), -1, grid, grid)


def place_terms(grid: int) -> Tensor:
    """Polynomials of depth and lateral place of a cell, both -1 to 1, up to the fourth degree: (14, grid, grid)."""
    middle = (torch.arange(grid) + 0.5) / grid * 2 - 1
    depth, lateral = torch.meshgrid(middle, middle, indexing="ij")
    powers = [(i, j) for i in range(_DEGREE + 1) for j in range(_DEGREE + 1 - i) if i + j]
    return torch.stack([depth**i * lateral**j for i, j in powers])
