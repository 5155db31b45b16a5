"""Parameters of the base model FastSAM3D: a student of the base SAM-Med3D, or the official student."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.weights import Weights


class StudentArchitecture(Section):
    """Fields of `uscl_med3d.nets.fastsam3d.FastSam3DConfig`; crops, width and embedding are SAM-Med3D's."""

    depth: int = Field(ge=1)
    num_heads: int = Field(ge=1)
    blocks_without_attention: int = Field(ge=0)
    window_size: int = Field(ge=0)
    global_blocks: tuple[int, ...]
    output_every: int = Field(ge=1)
    residual: Literal["normalised", "plain"]
    relative_position: Literal["upstream", "decomposed"]
    sparse_attention: Literal["none", "segments"]
    segments: int = Field(ge=1)
    token_order: Literal["permuted", "restored"]


class Distillation(Section):
    """How the student learns the teacher's features; see params.yaml."""

    form: Literal["progressive", "output"]
    layer_steps: int = Field(ge=0)
    start: Literal["teacher", "random"]
    teacher_residual: Literal["plain", "normalised"]
    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    warmup_steps: int = Field(ge=0)
    final_learning_rate: float = Field(ge=0, le=1)
    weight_decay: float = Field(ge=0)
    gradient_norm: float = Field(gt=0)
    flip_probability: float = Field(ge=0, le=1)
    min_target_voxels: int = Field(ge=1)
    validate_every: int = Field(ge=1)
    validation_patients: int = Field(ge=0)
    validation_targets: int = Field(ge=0)
    validation_clicks: int = Field(ge=1)
    click_simulator: Literal["random_error", "largest_error_centre"]
    keep: Literal["best", "last"]
    resume_every: int = Field(ge=1)
    cached_cases: int = Field(ge=1)


class FastSam3DFoundation(Weights):
    """Distillation of the student from the base SAM-Med3D on the general-domain sets."""

    architecture: StudentArchitecture
    training: Distillation
