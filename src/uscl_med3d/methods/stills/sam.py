"""SAM as it is: trained on natural images (here: on synthetic natural-looking scenes), never on ultrasound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from uscl_med3d.core.params.base import Section
from uscl_med3d.methods.base import Card
from uscl_med3d.methods.sam import SamMethod
from uscl_med3d.methods.stills.base import Batch, ClickedMethod, Start, read_base
from uscl_med3d.nets.sam import Sam, build_sam
from uscl_med3d.nets.sam.frame import Frame, LongestSideFrame


class NoOptions(Section):
    """There are none."""


class SamStill(ClickedMethod):
    """Three candidates after the first click, one after later ones; the candidate with the best predicted IoU counts."""

    card: ClassVar[Card] = SamMethod.card
    Options: ClassVar[type[Section]] = NoOptions
    network: Sam

    def __init__(self, network: Sam) -> None:
        self.network = network

    @classmethod
    def build(cls, start: Start) -> SamStill:
        cls.read_options(start)
        architecture, tensors = read_base(start)
        if architecture["image_size"] != start.image_size:
            raise ValueError(f"image_size must be {architecture['image_size']}, that of the base SAM")
        network = build_sam(architecture)
        network.load_state_dict(tensors, strict=True)
        return cls(network.eval())

    def make_frame(self, size: tuple[int, int]) -> Frame:
        return LongestSideFrame(size, self.network.config.image_size, self.network.config.mask_size)

    def decode(self, embedding: Tensor, points: Tensor, labels: Tensor) -> Tensor:
        several = points.shape[1] == 1
        masks, quality = self.network.decode(embedding, (points, labels), multimask_output=several)
        rows = torch.arange(len(masks), device=masks.device)
        return masks[rows, quality.argmax(1)].unsqueeze(1)

    def trained_names(self) -> list[str]:
        return []

    def loss(self, batch: Batch) -> Mapping[str, Tensor]:
        raise NotImplementedError("SAM is not trained here")


METHOD = SamStill
