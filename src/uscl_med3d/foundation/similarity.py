"""First stage of the base SAM and SAM-Med2D: the encoder learns which pixels belong to one object.

Embedding -> the mask decoder's own upscaling -> a few channels per pixel. From a point inside an object, pixels count
as its own the nearer they lie to the point in these channels. So the embedding must hold what a click asks for, before
any click is encoded: a network that learns from clicks alone learns where clicks lie instead (docs/image_use.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uscl_med3d.core.params.slices import SimilarityTraining
from uscl_med3d.core.seeds import Seeds, rng
from uscl_med3d.foundation.slice_clicks import SliceBatch, dice_percent
from uscl_med3d.methods.slicewise import SlicewiseMethod
from uscl_med3d.train.engine import Group, Task

COLOURS = 3
_SMOOTH = 1.0  # of the Dice loss, in pixels


class ObjectSimilarity(Task):
    """Cross-entropy and Dice of the pixels that resemble a point of an object.

    Args:
        method: whose network learns. draw: step -> images with objects. held_out: for the learning curve.
        settings: numbers of the stage. seeds: of its random streams.
        parameters: of the image encoder, those that train.
    """

    def __init__(
        self,
        method: SlicewiseMethod,
        draw: Callable[[int], SliceBatch],
        held_out: Sequence[SliceBatch],
        settings: SimilarityTraining,
        seeds: Seeds,
        parameters: Sequence[nn.Parameter],
    ) -> None:
        self.method, self.draw, self.held_out = method, draw, held_out
        self.settings, self.seeds = settings, seeds
        self.parameters = list(parameters)
        network = method.network
        width = network.config.prompt_dim // 8
        self.head = nn.Conv2d(width, settings.channels + 1 + COLOURS, 1)
        assert self.head.bias is not None
        with torch.no_grad():
            self.head.bias[settings.channels] = 1.0
        self.network = nn.ModuleList(
            [network.image_encoder, network.mask_decoder.output_upscaling, self.head]
        ).to(method.device)
        if settings.neck_start is not None:
            start_neck(network.image_encoder, settings.neck_start)

    def groups(self) -> list[Group]:
        """Patch embedding, upscaling and head learn faster, the neck's last convolution slower than the rest."""
        settings, network = self.settings, self.method.network
        encoder: Any = network.image_encoder
        slow_ids = {id(value) for value in _neck_convolution(encoder).parameters()}
        fast_ids = {id(value) for value in encoder.patch_embed.parameters()}
        slow = [value for value in self.parameters if id(value) in slow_ids]
        fast = [value for value in self.parameters if id(value) in fast_ids]
        fast += [*network.mask_decoder.output_upscaling.parameters(), *self.head.parameters()]
        rest = [value for value in self.parameters if id(value) not in slow_ids | fast_ids]
        groups = [
            Group(rest, settings.learning_rate),
            Group(fast, settings.learning_rate * settings.fast_share),
            Group(slow, settings.learning_rate * settings.neck_share),
        ]
        return [group for group in groups if group.parameters]

    def loss(self, step: int) -> Mapping[str, Tensor]:
        """Mean over objects and their points."""
        batch = self.draw(step)
        random = rng(*self.seeds, "points", step)
        features = self._describe(batch.images)
        losses = []
        for _ in range(self.settings.points_per_object):
            logits, target = self._compare(features, batch, random)
            entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean((1, 2))
            share = logits.sigmoid()
            overlap = (share * target).sum((1, 2))
            size = share.sum((1, 2)) + target.sum((1, 2))
            losses.append((entropy + 1 - (2 * overlap + _SMOOTH) / (size + _SMOOTH)).mean())
        similarity = torch.stack(losses).mean()
        seen = F.mse_loss(features[:, -COLOURS:], blur(batch.images).to(features.device))
        return {"loss": similarity + self.settings.colour_weight * seen, "colour_error": seen}

    def evaluate(self) -> dict[str, float]:
        """Dice (0..100) of held-out objects from one point each."""
        found = []
        for index, batch in enumerate(self.held_out):
            features = self._describe(batch.images)
            logits, target = self._compare(features, batch, rng(*self.seeds, "held out points", index))
            found.append(dice_percent(logits > 0, target > 0))
        return {"validation_dice": float(torch.cat(found).mean()) if found else float("nan")}

    def _describe(self, images: Tensor) -> Tensor:
        """Channels per pixel, (b, c + 1, h, w) on the images; the last one is how far an object may reach."""
        network, method = self.method.network, self.method
        embedding = method.embed(images)
        tokens, grid = embedding.flatten(2).transpose(1, 2), embedding.shape[2:]
        weight = self.head.weight.flatten(1)[None].expand(len(tokens), -1, -1)
        assert self.head.bias is not None
        low = network.mask_decoder.upscale(tokens, weight, grid) + self.head.bias[:, None, None]
        return method.make_frame((images.shape[-2], images.shape[-1])).restore_masks(low)

    def _compare(
        self, features: Tensor, batch: SliceBatch, random: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Logits and truth (n, h, w): how much every pixel resembles a point drawn in each object."""
        points = []
        for mask in batch.truth.numpy():
            inside = np.flatnonzero(mask)
            points.append(int(inside[int(random.integers(len(inside)))]))
        own = features[batch.owner.to(features.device)].flatten(2)
        at = torch.tensor(points, device=own.device)[:, None, None].expand(-1, own.shape[1], 1)
        point = own.gather(2, at)
        channels = self.settings.channels
        distance = (own[:, :channels] - point[:, :channels]).square().sum(1)
        logits = (point[:, channels] - distance).reshape(batch.truth.shape)
        return logits, batch.truth.to(logits.device).float()


def blur(images: Tensor) -> Tensor:
    """Images (b, 3, h, w) in 0..255 -> about -2..2, without the finest grain."""
    smooth = F.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
    return smooth / 64 - 2


def start_neck(encoder: nn.Module, scale: float) -> None:
    """The neck's 3 x 3 convolution starts at so much of its random weights, plus the identity at its centre."""
    weight = _neck_convolution(encoder).weight
    with torch.no_grad():
        weight.mul_(scale)
        centre = weight.shape[-1] // 2
        weight[:, :, centre, centre] += torch.eye(weight.shape[0])


def _neck_convolution(encoder: Any) -> nn.Conv2d:
    return encoder.neck[2]
