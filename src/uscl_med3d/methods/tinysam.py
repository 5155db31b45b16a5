"""TinySAM, slice by slice: MobileSAM's network, taught by SAM in all its stages, never on a medical image.

Behaviour of the official code that its weights rely on: the decoder gives masks 1 to 3 after every click, never
mask 0; the one with the highest predicted IoU counts.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from uscl_med3d.methods.base import Card
from uscl_med3d.methods.mobile_sam import MobileSamMethod
from uscl_med3d.methods.slicewise import NORMALISATION


class TinySamMethod(MobileSamMethod):
    """TinyViT with a prompt encoder and decoder of SAM's shape."""

    card: ClassVar[Card] = Card(
        paper="Shu et al., TinySAM, 2023 (arXiv 2312.13789)",
        code="xinghaochen/TinySAM@11589bc1d98c",
        licence="Apache-2.0",
        normalisation=NORMALISATION,
    )
    base: ClassVar[str] = "tinysam"
    several_masks: ClassVar[Literal["first", "always"]] = "always"


METHOD = TinySamMethod
