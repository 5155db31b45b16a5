"""Parameters of training a network that segments whole volumes without prompts; options of such methods."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.schedule import Schedule

Share = Annotated[float, Field(ge=0, le=1)]


class Augmentation(Section):
    """Changes of a training patch, each drawn anew."""

    flip: tuple[Share, Share, Share]
    rotation_deg: float = Field(ge=0)
    scaling: float = Field(ge=0, lt=1)
    contrast: float = Field(ge=0, lt=1)
    gamma: float = Field(ge=0, lt=1)
    noise: float = Field(ge=0)


class SegmentationTraining(Schedule):
    """One training on patches; see params.yaml, `methods.unet.options.training`."""

    foreground: Share
    augmentation: Augmentation
    validation_sweeps: int = Field(ge=0)
    cached_cases: int = Field(ge=1)
