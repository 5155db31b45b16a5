"""Parameters of the stage `foundation`: the base models."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.foundation_fastsam3d import FastSam3DFoundation
from uscl_med3d.core.params.foundation_mobile_sam import MobileSamFoundation
from uscl_med3d.core.params.foundation_sam import SamFoundation
from uscl_med3d.core.params.foundation_sam_med2d import SamMed2DFoundation
from uscl_med3d.core.params.foundation_tinysam import TinySamFoundation
from uscl_med3d.core.params.scenes import SceneSettings
from uscl_med3d.core.params.schedule import Schedule
from uscl_med3d.core.params.weights import Weights


class BaseCrops(Section):
    """Which crops of the general-domain sets are drawn, and how the learning curve is measured."""

    flip_probability: float = Field(ge=0, le=1)
    min_target_voxels: int = Field(ge=1)
    click_simulator: Literal["random_error", "largest_error_centre"]
    validation_patients: int = Field(ge=0)
    validation_targets: int = Field(ge=0)
    validation_clicks: int = Field(ge=1)
    cached_cases: int = Field(ge=1)


class DenseTraining(Schedule):
    """First stage: the encoder learns every structure, voxel by voxel."""

    learning_rate: float = Field(gt=0)
    fast_share: float = Field(gt=0)
    neck_share: float = Field(gt=0)
    neck_start: float = Field(ge=0)
    background_bias: float
    structure_bias: float
    majority: float = Field(gt=0.5, le=1)


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


class SegGptArchitecture(Section):
    """Size of the small SegGPT (fields of `transformers.SegGptConfig`); an official checkpoint brings its own."""

    image_height: int = Field(ge=8)
    image_width: int = Field(ge=8)
    patch_size: int = Field(ge=2)
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    mlp_dim: int
    merge_index: int = Field(ge=0)
    intermediate_hidden_state_indices: tuple[int, ...] = Field(min_length=1)
    decoder_hidden_size: int
    initializer_range: float = Field(gt=0)


class PlainScenes(Section):
    """What the scenes of the first steps have instead: fast and clean, so that only looking helps."""

    pace: tuple[float, float]
    texture: float
    grain: float
    shadow_fraction: float = Field(ge=0, le=1)
    opening_fraction: float = Field(ge=0, le=1)


class SegGptTraining(Section):
    """Optimisation of the small SegGPT."""

    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    warmup_steps: int = Field(ge=0)
    weight_decay: float = Field(ge=0)
    gradient_norm: float = Field(gt=0)
    loss_beta: float = Field(gt=0)
    similarity_scale: float = Field(gt=0)
    prompt_loss: float = Field(ge=0)
    plain_steps: int = Field(ge=0)
    two_prompts: float = Field(ge=0, le=1)
    extrapolation: float = Field(ge=0, le=1)
    held_out_scenes: int = Field(ge=1)
    evaluate_every: int = Field(ge=1)
    checkpoint_every: int = Field(ge=1)


class SegGptFoundation(Weights):
    """Training of the small SegGPT on synthetic natural-looking scenes."""

    embedding_type: Literal["instance", "semantic"]
    architecture: SegGptArchitecture
    training: SegGptTraining
    plain_scenes: PlainScenes
    scenes: SceneSettings


class Foundation(Section):
    """See params.yaml, section `foundation`."""

    sam_med3d: SamMed3DFoundation
    seggpt: SegGptFoundation
    sam: SamFoundation
    mobile_sam: MobileSamFoundation
    tinysam: TinySamFoundation
    sam_med2d: SamMed2DFoundation
    fastsam3d: FastSam3DFoundation
