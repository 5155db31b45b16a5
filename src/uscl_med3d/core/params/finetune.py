"""Parameters of the stage `finetune`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from uscl_med3d.core.params.dense import DenseCells
from uscl_med3d.core.params.schedule import Schedule
from uscl_med3d.core.params.segmentation import Augmentation


class DenseStart(DenseCells):
    """The first steps, where the encoder is trained: it learns every structure of a crop, voxel by voxel.

    Attributes:
        share: of all steps; 0: clicks from the first step on.
        head_rate: highest learning rate of the head, which is thrown away afterwards.
    """

    share: float = Field(ge=0, lt=1)
    head_rate: float = Field(gt=0)


class Finetune(Schedule):
    """Learning from simulated clicks; see params.yaml, section `finetune`.

    Attributes:
        dense: the first steps.
        objects_per_crop: of each crop, so many objects are clicked.
        clicks: the later click that is learned from, beside the first, is drawn from 2 to this.
        clicks_at_once: so many clicks between the two are drawn on one mask before the next mask is predicted.
        quality_weight: of the squared error of the predicted IoU.
        min_target_voxels: pseudo-labels with fewer voxels of a class are not trained on.
        validation_targets: crops of validation patients, scored on their annotated key frames.
        cached_cases: sweeps kept in memory.
    """

    dense: DenseStart
    objects_per_crop: int = Field(ge=1)
    clicks: int = Field(ge=1)
    clicks_at_once: int = Field(ge=1)
    click_simulator: Literal["random_error", "largest_error_centre"]
    quality_weight: float = Field(ge=0)
    augmentation: Augmentation
    min_target_voxels: int = Field(ge=1)
    validation_targets: int = Field(ge=0)
    validation_clicks: int = Field(ge=1)
    cached_cases: int = Field(ge=1)
