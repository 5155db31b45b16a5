"""How crops of the general-domain sets are drawn, for the base models that learn from CT and MR."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from uscl_med3d.core.params.base import Section


class BaseCrops(Section):
    """Which crops of the general-domain sets are drawn, and how the learning curve is measured."""

    flip_probability: float = Field(ge=0, le=1)
    min_target_voxels: int = Field(ge=1)
    click_simulator: Literal["random_error", "largest_error_centre"]
    validation_patients: int = Field(ge=0)
    validation_targets: int = Field(ge=0)
    validation_clicks: int = Field(ge=1)
    cached_cases: int = Field(ge=1)
