"""Parameters of the small SAM, and of training by clicks in slices, which SAM-Med2D shares."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.scenes import SceneSettings
from uscl_med3d.core.params.weights import Weights


class SamArchitecture(Section):
    """The network (see uscl_med3d.nets.sam.config)."""

    image_size: int
    patch_size: int
    embed_dim: int
    depth: int
    num_heads: int
    global_blocks: tuple[int, ...]
    window_size: int
    mlp_ratio: float
    prompt_dim: int
    mask_channels: int
    decoder_mlp_dim: int
    decoder_heads: int
    decoder_depth: int
    iou_head_depth: int
    iou_head_dim: int
    num_multimask_outputs: int
    adapter_ratio: float | None


class SliceClickTraining(Section):
    """Training by simulated clicks in images; see params.yaml."""

    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    masks_per_image: int = Field(ge=1)
    clicks: int = Field(ge=2)
    click_simulator: Literal["random_error", "largest_error_centre"]
    learning_rate: float = Field(gt=0)
    warmup_steps: int = Field(ge=0)
    final_learning_rate: float = Field(ge=0, le=1)
    weight_decay: float = Field(ge=0)
    gradient_norm: float = Field(gt=0)
    focal_weight: float = Field(ge=0)
    focal_gamma: float = Field(ge=0)
    dice_weight: float = Field(ge=0)
    iou_weight: float = Field(ge=0)
    min_target_pixels: int = Field(ge=1)
    held_out_images: int = Field(ge=1)
    evaluate_every: int = Field(ge=1)
    resume_every: int = Field(ge=1)


class SamTraining(SliceClickTraining):
    """Also how the scenes are drawn."""

    position_scale: float = Field(gt=0)
    sides: tuple[int, int]
    aspect: tuple[float, float]
    largest_target: float = Field(gt=0, le=1)

    @model_validator(mode="after")
    def _order(self) -> SamTraining:
        for name in ("sides", "aspect"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} must be two positive numbers, the smaller one first")
        return self


class SamFoundation(Weights):
    """Training of the small SAM on synthetic natural-looking scenes."""

    architecture: SamArchitecture
    training: SamTraining
    scenes: SceneSettings
