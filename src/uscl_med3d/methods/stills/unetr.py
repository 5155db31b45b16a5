"""UNETR: a vision transformer whose tokens a convolutional decoder reads at several depths."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from uscl_med3d.core.params.base import Section
from uscl_med3d.methods.base import Card
from uscl_med3d.methods.stills.base import Start
from uscl_med3d.methods.stills.grey import NORMALISATION, GreyStill, need_multiple

Count = Annotated[int, Field(ge=1)]


class UnetrOptions(Section):
    """`width`: of tokens. `heads`: of their attention. `features`: channels of the decoder's finest stage."""

    width: Count
    heads: Count
    features: Count


class UnetrStill(GreyStill):
    """MONAI's network on the grey image; patches of 16 pixels, twelve blocks."""

    card: ClassVar[Card] = Card(
        paper="Hatamizadeh et al., UNETR, 2022 (WACV)",
        code="Project-MONAI/MONAI 1.6 (UNETR)",
        licence="Apache-2.0",
        normalisation=NORMALISATION,
    )
    Options: ClassVar[type[Section]] = UnetrOptions

    @classmethod
    def build(cls, start: Start) -> UnetrStill:
        from monai.networks.nets import UNETR  # importing MONAI takes seconds

        options = cls.read_options(start)
        need_multiple(start.image_size, 16)
        network = UNETR(
            spatial_dims=2,
            in_channels=1,
            out_channels=1 + len(start.classes),
            img_size=start.image_size,
            feature_size=options.features,
            hidden_size=options.width,
            mlp_dim=4 * options.width,
            num_heads=options.heads,
        )
        return cls(network.eval(), start.image_size)


METHOD = UnetrStill
