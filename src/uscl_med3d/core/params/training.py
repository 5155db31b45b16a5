"""Parameters of click training, shared by the stages `foundation` and `finetune`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from uscl_med3d.core.params.base import Section


class ClickTraining(Section):
    """One training by simulated clicks; see params.yaml."""

    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    clicks: int = Field(ge=1)
    learned_clicks: int = Field(ge=1)
    click_simulator: Literal["random_error", "largest_error_centre"]
    warmup_steps: int = Field(ge=0)
    final_learning_rate: float = Field(ge=0, le=1)
    weight_decay: float = Field(ge=0)
    gradient_norm: float = Field(gt=0)
    validate_every: int = Field(ge=1)
    validation_clicks: int = Field(ge=1)
    keep: Literal["best", "last"]
    resume_every: int = Field(ge=1)
    min_target_voxels: int = Field(ge=1)
    cached_cases: int = Field(ge=1)

    @model_validator(mode="after")
    def _learn_from_existing_clicks(self) -> ClickTraining:
        if self.learned_clicks > self.clicks:
            raise ValueError(f"learned_clicks ({self.learned_clicks}) cannot exceed clicks ({self.clicks})")
        return self
