"""AdaptFormer on SAM-Med3D (`tuning.adaptformer`)."""

from __future__ import annotations

from typing import ClassVar

from uscl_med3d.methods.base import Card
from uscl_med3d.methods.sam_med3d import SamMed3DMethod


class AdaptFormerMethod(SamMed3DMethod):
    """Encoder and decoder blocks get adapters; everything else stays the base model's."""

    card: ClassVar[Card] = Card(
        paper="Chen et al., AdaptFormer, 2022 (arXiv 2205.13535)",
        code="ShoufaChen/AdaptFormer@6967d676c1a5",
        licence="MIT",
        normalisation="z-score over voxels > 0 of the crop",
    )


METHOD = AdaptFormerMethod
