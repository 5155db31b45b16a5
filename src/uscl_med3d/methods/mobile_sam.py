"""MobileSAM, slice by slice: SAM with a TinyViT that was taught SAM's embeddings, never on a medical image.

Behaviour of the official code: attention biases are cached by `.eval()`, which the official factory calls before
it loads weights, so that a user who does not call it again computes without them. Here they are read in
every call, as they were in training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from uscl_med3d.methods.base import Card
from uscl_med3d.methods.slicewise import NORMALISATION, SlicewiseMethod
from uscl_med3d.nets.mobile_sam import build_mobile_sam
from uscl_med3d.nets.sam import Sam


class MobileSamMethod(SlicewiseMethod):
    """TinyViT with SAM's prompt encoder and decoder; clicks as in SAM."""

    card: ClassVar[Card] = Card(
        paper="Zhang et al., Faster Segment Anything, 2023 (arXiv 2306.14289)",
        code="ChaoningZhang/MobileSAM@34bbbfdface3",
        licence="Apache-2.0",
        normalisation=NORMALISATION,
    )
    base: ClassVar[str] = "mobile_sam"

    @classmethod
    def build(cls, architecture: Mapping[str, Any]) -> Sam:
        """See `SlicewiseMethod.build`."""
        return build_mobile_sam(architecture)


METHOD = MobileSamMethod
