"""SwinUNETR: attention in shifted windows that grow coarser, and a convolutional decoder."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from uscl_med3d.core.params.base import Section
from uscl_med3d.methods.base import Card
from uscl_med3d.methods.stills.base import Start
from uscl_med3d.methods.stills.grey import NORMALISATION, GreyStill, need_multiple


class SwinUnetrOptions(Section):
    """`features`: channels of the first stage, a multiple of 12."""

    features: Annotated[int, Field(ge=12, multiple_of=12)]


class SwinUnetrStill(GreyStill):
    """MONAI's network on the grey image; windows of 7 tokens."""

    card: ClassVar[Card] = Card(
        paper="Hatamizadeh et al., Swin UNETR, 2022 (arXiv 2201.01266)",
        code="Project-MONAI/MONAI 1.6 (SwinUNETR)",
        licence="Apache-2.0",
        normalisation=NORMALISATION,
    )
    Options: ClassVar[type[Section]] = SwinUnetrOptions

    @classmethod
    def build(cls, start: Start) -> SwinUnetrStill:
        from monai.networks.nets import SwinUNETR  # importing MONAI takes seconds

        options = cls.read_options(start)
        need_multiple(start.image_size, 32)
        network = SwinUNETR(
            spatial_dims=2, in_channels=1, out_channels=1 + len(start.classes), feature_size=options.features
        )
        return cls(network.eval(), start.image_size)


METHOD = SwinUnetrStill
