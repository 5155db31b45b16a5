"""A U-Net as nnU-Net configures it, in two dimensions, trained from random weights."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from uscl_med3d.core.params.base import Section
from uscl_med3d.methods.base import Card
from uscl_med3d.methods.stills.base import Start
from uscl_med3d.methods.stills.grey import NORMALISATION, GreyStill


class UNetOptions(Section):
    """`features`: channels per stage; each stage halves the grid."""

    features: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=3)


class UNetStill(GreyStill):
    """MONAI's DynUNet on the grey image; cross-entropy and Dice alike."""

    card: ClassVar[Card] = Card(
        paper="Isensee et al., nnU-Net, 2021 (Nature Methods 18:203-211)",
        code="Project-MONAI/MONAI 1.6 (DynUNet)",
        licence="Apache-2.0",
        normalisation=NORMALISATION,
    )
    Options: ClassVar[type[Section]] = UNetOptions

    @classmethod
    def build(cls, start: Start) -> UNetStill:
        from monai.networks.nets import DynUNet  # importing MONAI takes seconds

        options = cls.read_options(start)
        stages = len(options.features)
        if start.image_size % 2 ** (stages - 1):
            raise ValueError(f"image_size must be a multiple of {2 ** (stages - 1)} for {stages} stages")
        network = DynUNet(
            spatial_dims=2,
            in_channels=1,
            out_channels=1 + len(start.classes),
            kernel_size=[3] * stages,
            strides=[1] + [2] * (stages - 1),
            upsample_kernel_size=[2] * (stages - 1),
            filters=list(options.features),
            norm_name=("INSTANCE", {"affine": True}),
            act_name=("leakyrelu", {"inplace": True, "negative_slope": 0.01}),
            deep_supervision=False,
        )
        return cls(network.eval(), start.image_size)


METHOD = UNetStill
