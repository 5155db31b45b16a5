"""USCL-Med3D: SAM-Med3D with LoRA, its encoder pretrained by a pretext task (`tuning.lora`, `pretext.vcl`)."""

from __future__ import annotations

from typing import ClassVar

from uscl_med3d.methods.base import Card
from uscl_med3d.methods.sam_med3d import SamMed3DMethod


class UsclMed3DMethod(SamMed3DMethod):
    """One cell of the sweep (`run.rank`, `run.modules`, `run.pretraining`)."""

    card: ClassVar[Card] = Card(
        paper="USCL-Med3D (the paper reproduced here); LoRA: Hu et al., 2021 (arXiv 2106.09685)",
        code="none released; LoRA through huggingface/peft",
        licence="Apache-2.0",
        normalisation="z-score over voxels > 0 of the crop",
    )


METHOD = UsclMed3DMethod
