"""Parameters of the base model FastSAM3D: a student of the base SAM-Med3D, or the official student."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.base_model import BaseModel, Weights
from uscl_med3d.core.params.crops import BaseCrops
from uscl_med3d.core.params.schedule import Schedule


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


class Distillation(Schedule):
    """How the student learns the teacher's features."""

    form: Literal["progressive", "output"]
    layer_steps: int = Field(ge=0)
    start: Literal["teacher", "random"]
    teacher_residual: Literal["plain", "normalised"]
    learning_rate: float = Field(gt=0)
    crops: BaseCrops


class FastSam3DFoundation(Weights):
    """Distillation of the student from the base SAM-Med3D on the general-domain sets."""

    architecture: StudentArchitecture
    training: Distillation


BASE_MODEL = BaseModel(
    settings=FastSam3DFoundation,
    title="FastSAM3D",
    job=("seed", "threads", "device", "precision", "model", "prompts", "general_reading"),
    general=True,
    teacher="sam_med3d",
    official="6layers6heads_student",
    official_is_encoder=True,
)
