"""Training of promptable 2D networks, shared by the base SAM and the base SAM-Med2D."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.schedule import Schedule


class SliceTargets(Section):
    """Which objects are trained on, and how the learning curve is measured."""

    min_target_pixels: int = Field(ge=1)
    click_simulator: Literal["random_error", "largest_error_centre"]
    held_out_images: int = Field(ge=1)
    held_out_clicks: int = Field(ge=1)


class SimilarityTraining(Schedule):
    """First stage: the encoder learns which pixels belong to one object."""

    learning_rate: float = Field(gt=0)
    objects_per_image: int = Field(ge=1)
    points_per_object: int = Field(ge=1)
    channels: int = Field(ge=1)
    colour_weight: float = Field(ge=0)
    fast_share: float = Field(gt=0)
    neck_share: float = Field(gt=0)
    neck_start: float | None = Field(ge=0)


class SliceClickTraining(Schedule):
    """Second stage: simulated clicks in images, the encoder is frozen."""

    learning_rate: float = Field(gt=0)
    objects_per_image: int = Field(ge=1)
    first_click_steps: int = Field(ge=0)
    clicks: int = Field(ge=2)
    focal_weight: float = Field(ge=0)
    focal_gamma: float = Field(ge=0)
    dice_weight: float = Field(ge=0)
    iou_weight: float = Field(ge=0)
