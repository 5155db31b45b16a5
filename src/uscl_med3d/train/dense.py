"""Learning every structure of a crop at once, voxel by voxel: what makes an encoder look before clicks are learned.

Embedding -> the mask decoder's own upscaling -> one linear head -> classes, on the grid of the low-resolution masks.
Images are learned as crops are, pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uscl_med3d.core.params.finetune import DenseStart
from uscl_med3d.core.params.stills import StillDense
from uscl_med3d.core.seeds import Seeds, derive
from uscl_med3d.train.crops import IGNORE
from uscl_med3d.train.engine import Group

Upscale = Callable[[Tensor, Tensor], Tensor]
_SMOOTH = 1.0  # of the soft Dice loss, in cells
_HEAD = "dense_head."  # in front of the names of the head's tensors


class DenseHead(nn.Module):
    """Linear head on the upscaled embedding; only training needs it.

    It starts at the share of background that it will find: otherwise "all is background" is the first lesson, and
    the embedding becomes constant.

    Args:
        dimensions: 3 for crops, 2 for images. channels: of the upscaled embedding. classes: beside the background.
        background_bias, structure_bias: at the start.
    """

    def __init__(
        self, dimensions: int, channels: int, classes: int, background_bias: float, structure_bias: float
    ) -> None:
        super().__init__()
        convolution = nn.Conv3d if dimensions == 3 else nn.Conv2d
        self.linear = convolution(channels, classes + 1, 1)
        with torch.no_grad():
            bias = self.linear.bias
            assert bias is not None
            bias.fill_(structure_bias)
            bias[0] = background_bias

    def forward(self, upscale: Upscale, embedding: Tensor) -> Tensor:
        """Embedding (b, c, g, g, g) -> logits (b, 1 + classes, m, m, m), class 0 the background; in 2D without one axis.

        Args:
            upscale: of the mask decoder: embedding and weights (b, 1 + classes, channels) -> weighted sums of channels.
        """
        weights = self.linear.weight.flatten(1)[None].expand(embedding.shape[0], -1, -1)
        bias = self.linear.bias
        assert bias is not None
        return upscale(embedding, weights) + bias.view(-1, *[1] * (embedding.ndim - 2))


class Looks(Protocol):
    """A method whose encoder can learn structures; see `ClickMethod` for crops, `ClickedMethod` for images."""

    network: Any

    @property
    def upscaled_channels(self) -> int | None: ...

    def embed(self, images: Tensor, /) -> Tensor: ...

    def upscale(self, embedding: Tensor, weights: Tensor) -> Tensor: ...


class DenseFirst:
    """The first steps of a training, where structures are learned before clicks, and the head that they alone train.

    Args:
        method: what learns; None: its encoder is not trained, so there is nothing to see first.
        steps: of the whole training. dimensions, classes: see `DenseHead`. seeds: of the training.

    Attributes:
        steps: before clicks begin; 0 where they begin at once.
        head: None where they begin at once.
    """

    def __init__(
        self,
        method: Looks | None,
        settings: DenseStart | StillDense,
        steps: int,
        dimensions: int,
        classes: int,
        seeds: Seeds,
    ) -> None:
        self.method, self.rate, self.steps = method, settings.head_rate, round(settings.share * steps)
        self.head: DenseHead | None = None
        if method is None or method.upscaled_channels is None or self.steps == 0:
            self.steps = 0
            return
        torch.manual_seed(derive(*seeds, "dense_head"))
        bias = settings.background_bias, settings.structure_bias
        head = DenseHead(dimensions, method.upscaled_channels, classes, *bias)
        self.head = head.to(next(method.network.parameters()).device)

    def logits(self, images: Tensor) -> Tensor:
        """Images or crops, as the method embeds them -> logits; see `DenseHead.forward`."""
        assert self.method is not None and self.head is not None
        logits: Tensor = self.head(self.method.upscale, self.method.embed(images))
        return logits

    def groups(self) -> list[Group]:
        """The head's parameters, to train beside the method's."""
        return [] if self.head is None else [Group(list(self.head.parameters()), self.rate)]

    def state(self) -> dict[str, Tensor]:
        """The head's tensors (copies), by names that no network uses."""
        head = {} if self.head is None else self.head.state_dict()
        return {_HEAD + name: value.detach().to("cpu", copy=True) for name, value in head.items()}

    def load_state(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Put the head back; the other tensors are returned."""
        head = {name.removeprefix(_HEAD): value for name, value in tensors.items() if name.startswith(_HEAD)}
        if self.head is not None:
            self.head.load_state_dict(head)
        return {name: value for name, value in tensors.items() if not name.startswith(_HEAD)}


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
