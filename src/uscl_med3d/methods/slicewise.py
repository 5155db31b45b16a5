"""What SAM, MobileSAM, TinySAM and SAM-Med2D share: they segment a volume slice by slice, with clicks in each.

A subclass says how its network is built, how slices are fitted to the network's square, which of several masks
counts, and how the previous mask is fed back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from uscl_med3d.core.params.base import Section
from uscl_med3d.methods.base import SliceMethod, Weights, need_base, torch_device
from uscl_med3d.nets.sam import Sam, build_sam
from uscl_med3d.nets.sam.checkpoint import read_weights
from uscl_med3d.nets.sam.frame import Frame, LongestSideFrame
from uscl_med3d.nets.tensors import load_named

NORMALISATION = (
    "two percentiles of the volume's voxels > 0 become 0 and 255, three equal channels, then mean and deviation "
    "of natural images"
)


class SlicewiseOptions(Section):
    """`percentiles`: intensities, as percentiles of the volume's voxels > 0, that become black and white."""

    percentiles: tuple[float, float] = Field(...)


@dataclass
class SliceState:
    """Embedded slices (n, c, g, g), their frame, and the mask prompt (n, 1, 4g, 4g) of the next prediction."""

    embedding: Tensor
    frame: Frame
    mask: Tensor | None


class SlicewiseMethod(SliceMethod):
    """Shared base; not a method by itself.

    Attributes:
        base: key of `foundation` whose weights `load` takes.
        several_masks: `first`: three candidate masks after the first click, one after later clicks, as SAM's
            authors advise; `always`: three candidates after every click. Of candidates, the one with the
            highest predicted IoU is taken.
        feedback: what of the chosen mask is the next prediction's mask prompt.
    """

    base: ClassVar[str]
    several_masks: ClassVar[Literal["first", "always"]] = "first"
    feedback: ClassVar[Literal["logits", "probabilities"]] = "logits"
    Options: ClassVar[type[Section]] = SlicewiseOptions
    network: Sam

    def __init__(
        self,
        network: Sam,
        architecture: Mapping[str, Any],
        percentiles: tuple[float, float],
        device: torch.device,
    ) -> None:
        self.network, self.architecture, self.device = network.to(device), dict(architecture), device
        self.percentiles = percentiles
        network.eval()

    @classmethod
    def load(cls, job: Any, weights: Weights) -> Self:
        """See `Method.load`; the base weights bring their own architecture."""
        options, base = cls.read_options(job), need_base(weights.base)
        architecture, tensors = read_weights(base, cls.base)
        network = cls.build(architecture)
        load_named(network, tensors, base, "delete the file, so that its stage writes it again")
        method = cls(network, architecture, options.percentiles, torch_device(job.device))
        method.tune(job, weights)
        return method

    @classmethod
    def build(cls, architecture: Mapping[str, Any]) -> Sam:
        """The network of an architecture, as the weights file describes it."""
        return build_sam(architecture)

    def make_frame(self, size: tuple[int, int]) -> Frame:
        """How slices of `size` (h, w) are fitted to the network's square."""
        return LongestSideFrame(size, self.network.config.image_size, self.network.config.mask_size)

    # ------------------------------------------------------------------------------------------ prediction
    def prepare(self, volume: Tensor) -> Tensor:
        """See `SliceMethod.prepare`; RGB (d, 3, h, w), float with whole numbers of 0..255."""
        return grey_to_rgb(volume, self.percentiles)

    def embed(self, images: Tensor) -> Tensor:
        """See `SliceMethod.embed`; the embedding is (n, c, g, g)."""
        frame = self.make_frame((images.shape[-2], images.shape[-1]))
        return self.network.image_encoder(frame.place_images(images.to(self.device)))

    def start(self, embedding: Tensor, size: tuple[int, int]) -> SliceState:
        """The first prediction has no mask prompt."""
        return SliceState(embedding, self.make_frame(size), None)

    def click(self, state: SliceState, points: Tensor, labels: Tensor) -> Tensor:
        """See `SliceMethod.click`; the fed-back mask carries no gradient."""
        masks, quality = self.decode(state, points, labels)
        chosen = quality.argmax(1)
        low = masks[torch.arange(masks.shape[0], device=masks.device), chosen].unsqueeze(1)
        self.feed_back(state, low)
        return state.frame.restore_masks(low)

    def decode(self, state: SliceState, points: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """All candidates: low-resolution logits (n, m, 4g, 4g) and predicted IoU (n, m)."""
        placed = state.frame.place_points(points.to(self.device, torch.float32))
        several = self.several_masks == "always" or points.shape[1] == 1
        return self.network.decode(
            state.embedding, (placed, labels.to(self.device)), masks=state.mask, multimask_output=several
        )

    def feed_back(self, state: SliceState, low: Tensor) -> None:
        """Keep the chosen low-resolution logits (n, 1, 4g, 4g) as the next mask prompt."""
        low = low.detach()
        state.mask = low if self.feedback == "logits" else low.sigmoid()


def grey_to_rgb(volume: Tensor, percentiles: tuple[float, float]) -> Tensor:
    """Raw intensities (d, h, w) -> RGB (d, 3, h, w), float with whole numbers of 0..255.

    The two percentiles of the voxels > 0 become 0 and 255; what lies outside an ultrasound fan is zero, and
    CT's negative intensities (fat, lung, air) become black. A volume without voxels > 0 is black.
    """
    values = volume.cpu().numpy().astype(np.float32)
    foreground = values[values > 0]
    low, high = np.percentile(foreground, percentiles) if foreground.size else (0.0, 1.0)
    scaled = np.clip((values - low) / max(high - low, 1e-6), 0, 1) * 255
    return torch.from_numpy(np.round(scaled).astype(np.float32))[:, None].expand(-1, 3, -1, -1)
