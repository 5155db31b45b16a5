"""Attention U-Net: a U-Net whose skips pass gates that the coarser level opens."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from uscl_med3d.core.params.base import Section
from uscl_med3d.methods.base import Card
from uscl_med3d.methods.stills.base import Start
from uscl_med3d.methods.stills.grey import NORMALISATION, GreyStill, need_multiple

Count = Annotated[int, Field(ge=1)]


class AttentionUNetOptions(Section):
    """`features`: channels per stage; each stage halves the grid."""

    features: tuple[Count, ...] = Field(min_length=3)


class AttentionUNetStill(GreyStill):
    """MONAI's network on the grey image."""

    card: ClassVar[Card] = Card(
        paper="Oktay et al., Attention U-Net, 2018 (arXiv 1804.03999)",
        code="Project-MONAI/MONAI 1.6 (AttentionUnet)",
        licence="Apache-2.0",
        normalisation=NORMALISATION,
    )
    Options: ClassVar[type[Section]] = AttentionUNetOptions

    @classmethod
    def build(cls, start: Start) -> AttentionUNetStill:
        from monai.networks.nets import AttentionUnet  # importing MONAI takes seconds

        options = cls.read_options(start)
        steps = [2] * (len(options.features) - 1)
        need_multiple(start.image_size, 2 ** len(steps))
        network = AttentionUnet(
            spatial_dims=2,
            in_channels=1,
            out_channels=1 + len(start.classes),
            channels=options.features,
            strides=steps,
        )
        return cls(network.eval(), start.image_size)


METHOD = AttentionUNetStill
