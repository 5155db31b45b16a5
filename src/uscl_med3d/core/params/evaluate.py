"""Parameters of the stage `evaluate`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from uscl_med3d.core.params.base import Section

CropRule = Literal["first_click", "oracle", "sliding"]
ClickSimulator = Literal["random_error", "largest_error_centre"]
Split = Literal["val", "test"]


class NsdTolerance(Section):
    """Largest distance at which two surfaces still agree, in the unit of the case."""

    mm: float = Field(gt=0)
    voxel: float = Field(gt=0)


class Gate(Section):
    """What the small model must reach on validation patients before any comparison means something."""

    required: bool
    run: str
    click_simulator: ClickSimulator
    crop: CropRule
    min_class_dice: float
    min_mean_dice: float
    min_gain: float


class Evaluate(Section):
    """See params.yaml, section `evaluate`, for the meaning of each value."""

    splits: tuple[Split, ...] = Field(min_length=1)
    clicks: int = Field(ge=1)
    click_simulators: tuple[ClickSimulator, ...] = Field(min_length=1)
    click_seeds: tuple[int, ...] = Field(min_length=1)
    crops: tuple[CropRule, ...] = Field(min_length=1)
    sliding_overlap: float = Field(ge=0, lt=1)
    min_target_voxels: int = Field(ge=1)
    max_classes_per_case: int = Field(ge=1)
    empty_masks: Literal["undefined", "full_score"]
    surface_at: tuple[int, ...]
    nsd_tolerance: NsdTolerance
    untracked_distance: Literal["mm_in_plane", "voxel"]
    batch_size: int = Field(ge=1)
