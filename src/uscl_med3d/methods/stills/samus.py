"""SAMUS: SAM for ultrasound, with overlapping patches, adapters and a CNN branch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar

from torch import Tensor

from uscl_med3d.core.params.base import Section
from uscl_med3d.methods.base import Card
from uscl_med3d.methods.stills.base import Batch, ClickedMethod, Start, StretchFrame, read_base
from uscl_med3d.nets.losses2d import samus_loss
from uscl_med3d.nets.sam.frame import Frame
from uscl_med3d.nets.samus import SAMUS, Samus, SamusConfig, build_samus, start_samus, trained_names


class SamusOptions(Section):
    """`cnn_widths`: channels of the CNN branch. `components`: see `nets.samus.COMPONENTS`. `window_size`: in tokens."""

    cnn_widths: tuple[int, ...]
    components: tuple[str, ...]
    window_size: int


class SamusStill(ClickedMethod):
    """Trains its own components and the global tables; prompt encoder and decoder stay SAM's."""

    card: ClassVar[Card] = Card(
        paper="Lin et al., Beyond Adapting SAM: Towards End-to-End Ultrasound Image Segmentation via Auto Prompting, 2024",
        code="xianlin7/SAMUS@030ed07cebe4",
        licence="MIT",
        normalisation="stretched to the square, 0..1",
    )
    Options: ClassVar[type[Section]] = SamusOptions
    network: Samus

    def __init__(self, network: Samus) -> None:
        self.network = network

    @classmethod
    def build(cls, start: Start) -> SamusStill:
        options = cls.read_options(start)
        base, tensors = read_base(start)
        architecture = shrink(base, start.image_size, options)
        network = build_samus(architecture)
        start_samus(network, tensors)
        method = cls(network.eval())
        method.architecture = architecture
        return method

    def make_frame(self, size: tuple[int, int]) -> Frame:
        return StretchFrame(size, self.network.config.image_size, self.network.config.mask_size)

    def embed(self, images: Tensor) -> Tensor:
        frame = self.make_frame((images.shape[-2], images.shape[-1]))
        grey = frame.place_images(images).mean(1, keepdim=True)
        return self.network.image_encoder(grey)

    def decode(self, embedding: Tensor, points: Tensor, labels: Tensor) -> Tensor:
        masks, _ = self.network.decode(embedding, (points, labels), multimask_output=False)
        return masks

    def trained_names(self) -> list[str]:
        return trained_names(self.network)

    def loss(self, batch: Batch) -> Mapping[str, Tensor]:
        total, parts = samus_loss(*self.low_logits(batch))
        return {"loss": total, **parts}


def shrink(base: Mapping[str, Any], image_size: int, options: SamusOptions) -> dict[str, Any]:
    """A SAMUS for the weights of a SAM: its patches, with half its stride; the table of positions is halved once."""
    own = {field.name: SAMUS[field.name] for field in fields(SamusConfig)}
    stride = base["patch_size"] // 2
    return (
        dict(base)
        | own
        | {
            "image_size": image_size,
            "patch_size": stride,
            "patch_kernel": base["patch_size"],
            "position_grid": 2 * (image_size // stride),
            "cnn_widths": options.cnn_widths,
            "components": options.components,
            "window_size": options.window_size,
        }
    )


METHOD = SamusStill
