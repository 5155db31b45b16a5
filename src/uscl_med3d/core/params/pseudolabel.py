"""Parameters of the stage `pseudolabel`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from uscl_med3d.core.params.base import Section


class Gate(Section):
    """Which frames and sweeps may enter training."""

    min_confidence: float = Field(ge=0, le=1)
    min_consistency: float = Field(ge=0, le=1)
    max_frames_outside: int = Field(ge=0)
    min_accepted_fraction: float = Field(ge=0, le=1)


class Review(Section):
    """The review sheet of a sweep."""

    frames: int = Field(ge=2)
    frame_width: int = Field(ge=32)


class Pseudolabel(Section):
    """See params.yaml, section `pseudolabel`, for the meaning of each value."""

    method: Literal["seggpt", "nearest_key_frame", "shape_interpolation"]
    key_frames: int | None = Field(ge=1)
    prompts: int = Field(ge=1)
    prompt_weights: Literal["equal", "inverse_distance"]
    score_threshold: float = Field(gt=0, lt=1)
    batch_frames: int = Field(ge=1)
    gate: Gate
    review: Review
