"""SAM-Med2D, slice by slice: SAM with adapters, tuned on CT and MR slices, never on ultrasound.

Behaviour of the official code that its weights rely on, reproduced here:

- the mask that is fed back is the sigmoid of the logits, not the logits;
- three candidate masks after every click, the one with the highest predicted IoU counts;
- slices are resized to the square without keeping their aspect, by the nearest pixel; small ones are padded
  instead, if the weights say so (`small_slices`);
- an adapter ends in a LayerNorm, so it is never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from uscl_med3d.methods.base import Card
from uscl_med3d.methods.slicewise import NORMALISATION, SlicewiseMethod
from uscl_med3d.nets.sam import Sam, build_sam
from uscl_med3d.nets.sam.frame import SquareFrame


class SamMed2DMethod(SlicewiseMethod):
    """SAM with one adapter beside the MLP of every encoder block."""

    card: ClassVar[Card] = Card(
        paper="Cheng et al., SAM-Med2D, 2023 (arXiv 2308.16184)",
        code="OpenGVLab/SAM-Med2D@bfd2b93b1158",
        licence="Apache-2.0",
        normalisation=NORMALISATION,
    )
    base: ClassVar[str] = "sam_med2d"
    several_masks: ClassVar[Literal["first", "always"]] = "always"
    feedback: ClassVar[Literal["logits", "probabilities"]] = "probabilities"

    @classmethod
    def build(cls, architecture: Mapping[str, Any]) -> Sam:
        """See `SlicewiseMethod.build`."""
        return build_sam({name: value for name, value in architecture.items() if name != "small_slices"})

    def make_frame(self, size: tuple[int, int]) -> SquareFrame:
        """See `SlicewiseMethod.make_frame`."""
        config, pads = self.network.config, self.architecture["small_slices"] == "pad"
        return SquareFrame(size, config.image_size, config.mask_size, pads)


METHOD = SamMed2DMethod
