"""SAMed: SAM without prompts, one mask per class, adapted by LoRA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from uscl_med3d.core.params.base import Section
from uscl_med3d.methods.base import Card
from uscl_med3d.methods.stills.base import Batch, Start, StretchFrame, WholeMethod, read_base
from uscl_med3d.nets.losses2d import samed_loss
from uscl_med3d.nets.sam.frame import Frame
from uscl_med3d.nets.samed import Samed, build_samed, start_samed


class SamedOptions(Section):
    """`rank`: of the adapters. `ce_weight`: of the cross-entropy; Dice has the rest of 1."""

    rank: int
    ce_weight: float


class SamedStill(WholeMethod):
    """Trains the adapters, and prompt encoder and decoder whole."""

    card: ClassVar[Card] = Card(
        paper="Zhang and Liu, Customized Segment Anything Model for Medical Image Segmentation, 2023 (arXiv 2304.13785)",
        code="hitachinsk/SAMed@e351840481f5",
        licence="MIT",
        normalisation="stretched to the square, 0..1",
    )
    Options: ClassVar[type[Section]] = SamedOptions
    network: Samed

    def __init__(self, network: Samed, ce_weight: float) -> None:
        self.network, self.ce_weight = network, ce_weight

    @classmethod
    def build(cls, start: Start) -> SamedStill:
        options = cls.read_options(start)
        base, tensors = read_base(start)
        own = {
            "image_size": start.image_size,
            "num_multimask_outputs": len(start.classes),
            "rank": options.rank,
            "adapts_decoder": False,
        }
        network = build_samed(base | own)
        start_samed(network, tensors)
        return cls(network.eval(), options.ce_weight)

    def make_frame(self, size: tuple[int, int]) -> Frame:
        return StretchFrame(size, self.network.config.image_size, self.network.config.mask_size)

    def logits(self, images: Tensor) -> Tensor:
        low, _, _ = self.network(images)
        return low

    def trained_names(self) -> list[str]:
        return self.network.trained_names()

    def loss(self, batch: Batch) -> Mapping[str, Tensor]:
        side = batch.images.shape[-1]
        low = self.logits(self.make_frame((side, side)).place_images(batch.images))
        labels = F.interpolate(batch.labels[:, None].float(), size=low.shape[-2:], mode="nearest")[
            :, 0
        ].long()
        total, parts = samed_loss(low, labels, self.ce_weight)
        return {"loss": total, **parts}


METHOD = SamedStill
