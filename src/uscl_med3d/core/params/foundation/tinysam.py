"""Parameters of the base TinySAM: distilled from the base SAM in all its stages, or the official weights."""

from __future__ import annotations

from pydantic import Field, model_validator

from uscl_med3d.core.params.base_model import BaseModel, Weights
from uscl_med3d.core.params.foundation.mobile_sam import EncoderDistillation, TinyVitArchitecture


class FullStageDistillation(EncoderDistillation):
    """How encoder and decoder learn from the teacher; see params.yaml."""

    encoder_steps: int = Field(ge=0)
    decoder_learning_rate: float = Field(ge=0)
    masks_per_image: int = Field(ge=1)
    clicks: int = Field(ge=1)
    learned_clicks: int = Field(ge=1)
    embedding_weight: float = Field(ge=0)
    token_weight: float = Field(ge=0)
    mask_weight: float = Field(ge=0)
    iou_weight: float = Field(ge=0)
    hard_mask_limit: float = Field(ge=1)

    @model_validator(mode="after")
    def _fit_together(self) -> FullStageDistillation:
        if self.learned_clicks > self.clicks:
            raise ValueError(f"learned_clicks ({self.learned_clicks}) cannot exceed clicks ({self.clicks})")
        if self.encoder_steps > self.steps:
            raise ValueError(f"encoder_steps ({self.encoder_steps}) cannot exceed steps ({self.steps})")
        return self


class TinySamFoundation(Weights):
    """Full-stage distillation with hard prompts."""

    architecture: TinyVitArchitecture
    training: FullStageDistillation


BASE_MODEL = BaseModel(
    settings=TinySamFoundation,
    title="TinySAM",
    job=("seed", "threads", "device", "foundation.sam"),
    teacher="sam",
    official="tinysam.pth",
)
