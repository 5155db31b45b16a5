"""The base SAM-Med3D: trained in two stages on the general-domain sets, or an official checkpoint."""

from __future__ import annotations

from pydantic import Field

from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.base_model import BaseModel, Weights
from uscl_med3d.core.params.crops import BaseCrops
from uscl_med3d.core.params.dense import DenseCells
from uscl_med3d.core.params.schedule import Schedule
from uscl_med3d.core.params.segmentation import Augmentation


class DenseTraining(Schedule, DenseCells):
    """First stage: the encoder learns every structure, voxel by voxel."""

    learning_rate: float = Field(gt=0)
    fast_share: float = Field(gt=0)
    neck_share: float = Field(gt=0)
    neck_start: float = Field(ge=0)
    augmentation: Augmentation


class ObjectClickTraining(Schedule):
    """Second stage: prompt encoder and decoder learn clicks, the encoder is frozen."""

    learning_rate: float = Field(gt=0)
    first_click_steps: int = Field(ge=0)
    clicks: int = Field(ge=2)
    objects_per_crop: int = Field(ge=1)
    min_object_voxels: int = Field(ge=1)
    position_scale: float = Field(gt=0)
    query_scale: float = Field(gt=0)
    quality_weight: float = Field(ge=0)


class BaseTraining(Section):
    """Both stages of the small SAM-Med3D's training."""

    crops: BaseCrops
    dense: DenseTraining
    clicks: ObjectClickTraining


class SamMed3DFoundation(Weights):
    """Training of the small SAM-Med3D on the general-domain sets."""

    training: BaseTraining


BASE_MODEL = BaseModel(
    settings=SamMed3DFoundation,
    title="SAM-Med3D",
    job=("seed", "threads", "device", "precision", "model", "prompts", "general_reading"),
    general=True,
    official="sam_med3d_turbo.pth",
)
