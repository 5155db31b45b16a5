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


class ImageUse(Section):
    """Which cases are also shown another patient's image: classes of each case, and clicks at which it is compared."""

    classes_per_case: int = Field(ge=1)
    points: tuple[int, ...] = Field(min_length=1)


class SeeingGate(Section):
    """Points of Dice that a method must owe to the image, as the mean over `datasets`.

    Attributes:
        first_click, last_click: own image minus another patient's, after the first and the last click of
            `evaluate.image_use.points`.
        required: whether the pipeline stops where they are missed by more than `Gate.slack`; else the method is marked.
    """

    datasets: tuple[str, ...] = Field(min_length=1)
    first_click: float
    last_click: float
    required: bool


class Gate(Section):
    """What models must reach on validation patients before any comparison means something.

    Attributes:
        slack: points by which a required method may miss its values before the pipeline stops; it is marked all the same.
        seeing: method -> what it must owe to the image.
        blind: methods that look at nothing; every tuned method must be above them on ultrasound.
    """

    required: bool
    slack: float = Field(ge=0)
    seeing: dict[str, SeeingGate]
    blind: tuple[str, ...]


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
    general_validation_patients: int = Field(ge=0)
    image_use: ImageUse
    empty_masks: Literal["undefined", "full_score"]
    surface_at: tuple[int, ...]
    nsd_tolerance: NsdTolerance
    untracked_distance: Literal["mm_in_plane", "voxel"]
    batch_size: int = Field(ge=1)
