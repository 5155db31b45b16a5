"""What networks that give every pixel of a grey picture a class have in common, whoever built them."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from uscl_med3d.methods.stills.base import Batch, StretchFrame, WholeMethod
from uscl_med3d.nets.losses2d import samed_loss
from uscl_med3d.nets.sam.frame import Frame

NORMALISATION = "stretched to the square, 0..1, then zero mean and unit deviation"


class GreyStill(WholeMethod):
    """A network of one input channel, trained from random weights; cross-entropy and Dice alike.

    Args:
        network: (n, 1, s, s) -> logits (n, classes + 1, s, s). image_size: s, in pixels.
    """

    def __init__(self, network: nn.Module, image_size: int) -> None:
        self.network, self.image_size = network, image_size

    def make_frame(self, size: tuple[int, int]) -> Frame:
        return StretchFrame(size, self.image_size, self.image_size)

    def logits(self, images: Tensor) -> Tensor:
        grey = images.mean(1, keepdim=True)
        spread = grey.std((1, 2, 3), keepdim=True).clamp(min=1e-6)
        return self.network((grey - grey.mean((1, 2, 3), keepdim=True)) / spread)

    def trained_names(self) -> list[str]:
        return [name for name, _ in self.network.named_parameters()]

    def loss(self, batch: Batch) -> Mapping[str, Tensor]:
        side = batch.images.shape[-1]
        logits = self.logits(self.make_frame((side, side)).place_images(batch.images))
        total, parts = samed_loss(logits, batch.labels, ce_weight=0.5)
        return {"loss": total, **parts}


def need_multiple(image_size: int, step: int) -> None:
    """Refuse a side that the network cannot halve as often as it does.

    Raises:
        ValueError: unless `image_size` is a multiple of `step`.
    """
    if image_size % step:
        raise ValueError(f"image_size must be a multiple of {step}, got {image_size}")
