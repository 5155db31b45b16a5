"""Parameters of the base SAM-Med2D: the base SAM with adapters, tuned on CT and MR slices."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.base_model import BaseModel, Weights
from uscl_med3d.core.params.foundation.sam import SamArchitecture
from uscl_med3d.core.params.slices import SimilarityTraining, SliceClickTraining, SliceTargets


class SamMed2DArchitecture(SamArchitecture):
    """SAM's, with adapters, and what becomes of slices that are smaller than the network's square."""

    adapter_ratio: float = Field(gt=0)
    small_slices: Literal["pad", "resize"]


class SliceSampling(SliceTargets):
    """Also how slices are prepared and chosen."""

    percentiles: tuple[float, float]
    flip_probability: float = Field(ge=0, le=1)
    validation_patients: int = Field(ge=0)
    cached_cases: int = Field(ge=1)


class SamMed2DTraining(Section):
    """Both stages: adapters first, then prompt encoder and decoder."""

    images: SliceSampling
    dense: SimilarityTraining
    clicks: SliceClickTraining


class SamMed2DFoundation(Weights):
    """Training of adapters, prompt encoder and decoder on the general-domain sets."""

    architecture: SamMed2DArchitecture
    training: SamMed2DTraining


BASE_MODEL = BaseModel(
    settings=SamMed2DFoundation,
    title="SAM-Med2D",
    job=("seed", "threads", "device", "general_reading"),
    general=True,
    teacher="sam",
    official="sam-med2d_b.pth",
)
