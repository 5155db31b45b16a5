"""A control: a disc round the first click, as large as structures of the training images are; the image is not looked at.

What a method with clicks scores beyond it comes from the image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from uscl_med3d.core.params.base import Section
from uscl_med3d.methods.base import Card
from uscl_med3d.methods.stills.base import Batch, ClickedMethod, Start, StretchFrame
from uscl_med3d.methods.stills.sam import NoOptions
from uscl_med3d.nets.sam.frame import Frame


class DiscStill(ClickedMethod):
    """Its radius is that of a disc of the median share of the picture; later clicks are not used."""

    card: ClassVar[Card] = Card(
        paper="a control of this project", code="none", licence="Apache-2.0", normalisation="none"
    )
    Options: ClassVar[type[Section]] = NoOptions

    def __init__(self, image_size: int) -> None:
        self.network, self.image_size, self.share = nn.Identity(), image_size, 0.0

    @classmethod
    def build(cls, start: Start) -> DiscStill:
        cls.read_options(start)
        return cls(start.image_size)

    def look_at(self, pictures: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
        shares = [
            float((labels == label).mean()) for _, labels in pictures for label in np.unique(labels) if label
        ]
        self.share = float(np.median(shares))

    def make_frame(self, size: tuple[int, int]) -> Frame:
        return StretchFrame(size, self.image_size, self.image_size)

    def embed(self, images: Tensor) -> Tensor:
        return images[:, :1]

    def click(self, embedding: Tensor, size: tuple[int, int], points: Tensor, labels: Tensor) -> Tensor:
        radius = (self.share * size[0] * size[1] / torch.pi) ** 0.5
        rows, columns = torch.arange(size[0])[:, None], torch.arange(size[1])[None]
        first = points[:, 0, :, None, None]
        away = ((rows - first[:, 0]) ** 2 + (columns - first[:, 1]) ** 2).sqrt()
        return (radius - away)[:, None]

    def decode(self, embedding: Tensor, points: Tensor, labels: Tensor) -> Tensor:
        raise NotImplementedError("a disc has no low-resolution mask")

    def trained_names(self) -> list[str]:
        return []

    def loss(self, batch: Batch) -> Mapping[str, Tensor]:
        raise NotImplementedError("a disc is not trained")


METHOD = DiscStill
