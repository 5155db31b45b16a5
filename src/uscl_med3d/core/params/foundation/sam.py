"""The base SAM: trained in two stages on synthetic scenes, or the official checkpoint."""

from __future__ import annotations

from pydantic import Field, model_validator

from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.base_model import BaseModel, Weights
from uscl_med3d.core.params.sam_shape import SamShape
from uscl_med3d.core.params.scenes import SceneSettings
from uscl_med3d.core.params.slices import SimilarityTraining, SliceClickTraining, SliceTargets


class SamArchitecture(SamShape):
    """The network (see uscl_med3d.nets.sam.config)."""

    adapter_ratio: float | None


class SceneSampling(SliceTargets):
    """Also how the scenes are drawn."""

    sides: tuple[int, int]
    aspect: tuple[float, float]
    largest_target: float = Field(gt=0, le=1)

    @model_validator(mode="after")
    def _order(self) -> SceneSampling:
        for name in ("sides", "aspect"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} must be two positive numbers, the smaller one first")
        return self


class SamClickTraining(SliceClickTraining):
    """Also how prompt encoder and decoder start."""

    position_scale: float = Field(gt=0)
    query_scale: float = Field(gt=0)


class SamTraining(Section):
    """Both stages of the small SAM's training."""

    images: SceneSampling
    dense: SimilarityTraining
    clicks: SamClickTraining


class SamFoundation(Weights):
    """Training of the small SAM on synthetic natural-looking scenes."""

    architecture: SamArchitecture
    training: SamTraining
    scenes: SceneSettings


BASE_MODEL = BaseModel(
    settings=SamFoundation,
    title="SAM",
    job=("seed", "threads", "device"),
    official="sam_vit_b_01ec64.pth",
)
