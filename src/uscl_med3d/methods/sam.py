"""SAM, slice by slice: trained on natural images (here: on synthetic natural-looking scenes), never on a medical one."""

from __future__ import annotations

from typing import ClassVar

from uscl_med3d.methods.base import Card
from uscl_med3d.methods.slicewise import NORMALISATION, SlicewiseMethod


class SamMethod(SlicewiseMethod):
    """SAM's ViT with its own prompt encoder and decoder."""

    card: ClassVar[Card] = Card(
        paper="Kirillov et al., Segment Anything, 2023 (arXiv 2304.02643)",
        code="facebookresearch/segment-anything@dca509fe793f",
        licence="Apache-2.0",
        normalisation=NORMALISATION,
    )
    base: ClassVar[str] = "sam"


METHOD = SamMethod
