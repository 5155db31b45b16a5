"""SwinUNETR: a Swin transformer as the encoder of a U-Net, trained from random weights on the same pseudo-labels.

Given no prompt at all; everything but the network is as in `unet`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field
from torch import nn

from uscl_med3d.core.params.base import Section
from uscl_med3d.methods.base import Card
from uscl_med3d.methods.unet import PatchOptions, UNetMethod

Positive = Annotated[int, Field(ge=1)]


class SwinUnetrOptions(PatchOptions):
    """See params.yaml, `methods.swin_unetr.options`."""

    features: int = Field(ge=12, multiple_of=12)
    depths: tuple[Positive, Positive, Positive, Positive]
    heads: tuple[Positive, Positive, Positive, Positive]
    window: int = Field(ge=2)
    groups: Positive | None


class SwinUnetrMethod(UNetMethod):
    """MONAI's network; sides of a patch are multiples of 32 times `stem`."""

    card: ClassVar[Card] = Card(
        paper="Hatamizadeh et al., Swin UNETR, 2022 (arXiv 2201.01266)",
        code="Project-MONAI/MONAI 1.6 (SwinUNETR)",
        licence="Apache-2.0",
        normalisation="z-score over voxels > 0 of the volume",
    )
    Options: ClassVar[type[Section]] = SwinUnetrOptions
    name: ClassVar[str] = "swin_unetr"

    @classmethod
    def build_network(cls, options: Any, in_channels: int, out_channels: int) -> nn.Module:
        """See `UNetMethod.build_network`."""
        from monai.networks.nets import SwinUNETR  # importing MONAI takes seconds

        # Instance normalisation, the network's own, needs more than one voxel where the grid is coarsest.
        norm = "instance" if options.groups is None else ("group", {"num_groups": options.groups})
        return SwinUNETR(
            in_channels=in_channels,
            out_channels=out_channels,
            feature_size=options.features,
            depths=options.depths,
            num_heads=options.heads,
            window_size=options.window,
            norm_name=norm,
            spatial_dims=3,
        )


METHOD = SwinUnetrMethod
