"""Learning every structure of a crop at once, voxel by voxel: what makes an encoder look before clicks are learned.

Embedding -> the mask decoder's own upscaling -> one linear head -> classes, on the grid of the low-resolution masks.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uscl_med3d.train.crops import IGNORE

Upscale = Callable[[Tensor, Tensor], Tensor]
_SMOOTH = 1.0  # of the soft Dice loss, in cells


class DenseHead(nn.Module):
    """Linear head on the upscaled embedding; only training needs it.

    It starts at the share of background that it will find: otherwise "all is background" is the first lesson, and
    the embedding becomes constant.

    Args:
        channels: of the upscaled embedding. classes: beside the background.
        background_bias, structure_bias: at the start.
    """

    def __init__(self, channels: int, classes: int, background_bias: float, structure_bias: float) -> None:
        super().__init__()
        self.linear = nn.Conv3d(channels, classes + 1, 1)
        with torch.no_grad():
            bias = self.linear.bias
            assert bias is not None
            bias.fill_(structure_bias)
            bias[0] = background_bias

    def forward(self, upscale: Upscale, embedding: Tensor) -> Tensor:
        """Embedding (b, c, g, g, g) -> logits (b, 1 + classes, m, m, m), class 0 the background.

        Args:
            upscale: of the mask decoder: embedding and weights (b, 1 + classes, channels) -> weighted sums of channels.
        """
        weights = self.linear.weight.flatten(1)[None].expand(embedding.shape[0], -1, -1)
        bias = self.linear.bias
        assert bias is not None
        return upscale(embedding, weights) + bias[:, None, None, None]


def majority(channels: np.ndarray, factor: int, at_least: float) -> np.ndarray:
    """Classes (s, s, s) -> of cells (s / factor, ...) of `factor` voxels a side, uint8.

    The commonest class of a cell counts if it holds at least the share `at_least` (over one half) of its voxels;
    otherwise the cell is 255: ignored.
    """
    side = channels.shape[0] // factor
    blocks = channels.reshape(side, factor, side, factor, side, factor).transpose(0, 2, 4, 1, 3, 5)
    voxels = np.sort(blocks.reshape(side, side, side, -1), axis=-1)
    # A value that fills more than half of a sorted list stands in its middle.
    middle = voxels[..., voxels.shape[-1] // 2]
    share = (voxels == middle[..., None]).mean(-1)
    return np.where(share >= at_least, middle, np.uint8(IGNORE)).astype(np.uint8)


def dense_loss(logits: Tensor, cells: Tensor) -> Tensor:
    """Mean cross-entropy plus mean soft Dice loss of the structures that are there, over the cells that count.

    Args:
        logits: (1 + classes, m, m, m). cells: class numbers (m, m, m), 255 where ignored.
    """
    logits, known = logits.float().flatten(1), (cells != IGNORE).flatten()
    truth = cells.flatten()[known].long()
    chosen = logits[:, known]
    if truth.numel() == 0:
        return logits.sum() * 0
    entropy = F.cross_entropy(chosen.T, truth)
    present = [channel for channel in torch.unique(truth).tolist() if channel]
    if not present:
        return entropy
    probability = chosen.softmax(0)[present]
    target = torch.stack([truth == channel for channel in present]).float()
    overlap = (probability * target).sum(1)
    dice = 1 - (2 * overlap + _SMOOTH) / (probability.sum(1) + target.sum(1) + _SMOOTH)
    return entropy + dice.mean()
