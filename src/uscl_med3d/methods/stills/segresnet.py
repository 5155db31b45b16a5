"""SegResNet: residual blocks down, few blocks up."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from uscl_med3d.core.params.base import Section
from uscl_med3d.methods.base import Card
from uscl_med3d.methods.stills.base import Start
from uscl_med3d.methods.stills.grey import NORMALISATION, GreyStill, need_multiple

Count = Annotated[int, Field(ge=1)]


class SegResNetOptions(Section):
    """`features`: channels of the first stage; a stage has twice as many. `groups`: of the norms."""

    features: Count
    groups: Count


class SegResNetStill(GreyStill):
    """MONAI's network without its variational branch, on the grey image."""

    card: ClassVar[Card] = Card(
        paper="Myronenko, 3D MRI brain tumor segmentation using autoencoder regularization, 2018 (arXiv 1810.11654)",
        code="Project-MONAI/MONAI 1.6 (SegResNet)",
        licence="Apache-2.0",
        normalisation=NORMALISATION,
    )
    Options: ClassVar[type[Section]] = SegResNetOptions

    @classmethod
    def build(cls, start: Start) -> SegResNetStill:
        from monai.networks.nets import SegResNet  # importing MONAI takes seconds

        options = cls.read_options(start)
        need_multiple(start.image_size, 8)
        network = SegResNet(
            spatial_dims=2,
            in_channels=1,
            out_channels=1 + len(start.classes),
            init_filters=options.features,
            num_groups=options.groups,
        )
        return cls(network.eval(), start.image_size)


METHOD = SegResNetStill
