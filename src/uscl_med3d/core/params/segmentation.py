"""Parameters of training a network that segments whole volumes without prompts; options of such methods."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from uscl_med3d.core.params.base import Section

Share = Annotated[float, Field(ge=0, le=1)]


class Augmentation(Section):
    """Changes of a training patch, each drawn anew."""

    flip: tuple[Share, Share, Share]
    rotation_deg: float = Field(ge=0)
    scaling: float = Field(ge=0, lt=1)
    contrast: float = Field(ge=0, lt=1)
    gamma: float = Field(ge=0, lt=1)
    noise: float = Field(ge=0)


class SegmentationTraining(Section):
    """One training on patches; see params.yaml, `methods.unet.options.training`."""

    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    foreground: Share
    warmup_steps: int = Field(ge=0)
    final_learning_rate: float = Field(ge=0, le=1)
    weight_decay: float = Field(ge=0)
    gradient_norm: float = Field(gt=0)
    augmentation: Augmentation
    validate_every: int = Field(ge=1)
    validation_sweeps: int = Field(ge=0)
    keep: Literal["best", "last"]
    resume_every: int = Field(ge=1)
    cached_cases: int = Field(ge=1)
