"""A U-Net as nnU-Net configures it, in two dimensions, trained from random weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor, nn

from uscl_med3d.core.params.base import Section
from uscl_med3d.methods.base import Card
from uscl_med3d.methods.stills.base import Batch, Start, StretchFrame, WholeMethod
from uscl_med3d.nets.losses2d import samed_loss
from uscl_med3d.nets.sam.frame import Frame


class UNetOptions(Section):
    """`features`: channels per stage; each stage halves the grid."""

    features: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=3)


class UNetStill(WholeMethod):
    """MONAI's DynUNet on the grey image; cross-entropy and Dice alike."""

    card: ClassVar[Card] = Card(
        paper="Isensee et al., nnU-Net, 2021 (Nature Methods 18:203-211)",
        code="Project-MONAI/MONAI 1.6 (DynUNet)",
        licence="Apache-2.0",
        normalisation="stretched to the square, 0..1, then zero mean and unit deviation",
    )
    Options: ClassVar[type[Section]] = UNetOptions

    def __init__(self, network: nn.Module, image_size: int) -> None:
        self.network, self.image_size = network, image_size

    @classmethod
    def build(cls, start: Start) -> UNetStill:
        from monai.networks.nets import DynUNet  # importing MONAI takes seconds

        options = cls.read_options(start)
        stages = len(options.features)
        if start.image_size % 2 ** (stages - 1):
            raise ValueError(f"image_size must be a multiple of {2 ** (stages - 1)} for {stages} stages")
        network = DynUNet(
            spatial_dims=2, in_channels=1, out_channels=1 + len(start.classes), kernel_size=[3] * stages,
            strides=[1] + [2] * (stages - 1), upsample_kernel_size=[2] * (stages - 1),
            filters=list(options.features), norm_name=("INSTANCE", {"affine": True}),
            act_name=("leakyrelu", {"inplace": True, "negative_slope": 0.01}), deep_supervision=False,
        )  # fmt: skip
        return cls(network.eval(), start.image_size)

    def make_frame(self, size: tuple[int, int]) -> Frame:
        return StretchFrame(size, self.image_size, self.image_size)

    def logits(self, images: Tensor) -> Tensor:
        grey = images.mean(1, keepdim=True)
        spread = grey.std((1, 2, 3), keepdim=True).clamp(min=1e-6)
        return self.network((grey - grey.mean((1, 2, 3), keepdim=True)) / spread)

    def trained_names(self) -> list[str]:
        return [name for name, _ in self.network.named_parameters()]

    def loss(self, batch: Batch) -> Mapping[str, Tensor]:
        side = batch.images.shape[-1]
        logits = self.logits(self.make_frame((side, side)).place_images(batch.images))
        total, parts = samed_loss(logits, batch.labels, ce_weight=0.5)
        return {"loss": total, **parts}


METHOD = UNetStill
