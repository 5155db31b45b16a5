"""MedSAM: SAM's network tuned on medical images, fed by its own range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from uscl_med3d.core.params.base import Section
from uscl_med3d.methods.base import Card
from uscl_med3d.methods.stills.base import Batch, FrozenPromptMethod, Start, read_base
from uscl_med3d.nets.losses2d import medsam_loss
from uscl_med3d.nets.medsam import MedSamFrame, trained_names
from uscl_med3d.nets.sam import Sam, build_sam
from uscl_med3d.nets.sam.frame import Frame
from uscl_med3d.nets.sam.start import start_from_sam


class MedSamOptions(Section):
    """`first_form`: only the mask decoder is tuned, as in the first version of the article; else the encoder too."""

    first_form: bool


class MedSamStill(FrozenPromptMethod):
    """One mask per prompt, the first token's; the prompt encoder is frozen."""

    card: ClassVar[Card] = Card(
        paper="Ma et al., Segment anything in medical images, 2024 (Nature Communications 15:654)",
        code="bowang-lab/MedSAM@d71e8a1a99ad",
        licence="Apache-2.0",
        normalisation="stretched to the square by cubic splines, then 0..1 by its own range",
    )
    Options: ClassVar[type[Section]] = MedSamOptions
    network: Sam

    def __init__(self, network: Sam, first_form: bool) -> None:
        self.network, self.first_form = network, first_form

    @classmethod
    def build(cls, start: Start) -> MedSamStill:
        options = cls.read_options(start)
        architecture, tensors = read_base(start)
        architecture = architecture | {"image_size": start.image_size}
        network = build_sam(architecture)
        start_from_sam(network, tensors, rename=lambda name: name, left_random=())
        method = cls(network.eval(), options.first_form)
        method.architecture = architecture
        return method

    def make_frame(self, size: tuple[int, int]) -> Frame:
        return MedSamFrame(size, self.network.config.image_size, self.network.config.mask_size)

    def trained_names(self) -> list[str]:
        return trained_names(self.network, self.first_form)

    def loss(self, batch: Batch) -> Mapping[str, Tensor]:
        total, parts = medsam_loss(*self.low_logits(batch))
        return {"loss": total, **parts}


METHOD = MedSamStill
