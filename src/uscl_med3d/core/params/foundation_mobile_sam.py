"""Parameters of the base MobileSAM: a TinyViT distilled from the base SAM, or the official weights."""

from __future__ import annotations

from pydantic import Field

from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.weights import Weights


class TinyVitArchitecture(Section):
    """Fields of `uscl_med3d.nets.tiny_vit.TinyViTConfig`; image size, grid and channels are the teacher's."""

    widths: tuple[int, ...] = Field(min_length=2)
    depths: tuple[int, ...]
    num_heads: tuple[int, ...]
    window_sizes: tuple[int, ...]
    merge_strides: tuple[int, ...]
    mlp_ratio: float = Field(gt=0)
    expand_ratio: float = Field(gt=0)
    local_conv_size: int = Field(ge=1)
    num_classes: int = Field(ge=0)


class EncoderDistillation(Section):
    """How a TinyViT learns the teacher's embeddings; see params.yaml."""

    scenes: int = Field(ge=1)
    steps: int = Field(ge=1)
    batch_size: int = Field(ge=2)
    learning_rate: float = Field(gt=0)
    warmup_steps: int = Field(ge=0)
    final_learning_rate: float = Field(ge=0, le=1)
    weight_decay: float = Field(ge=0)
    gradient_norm: float = Field(gt=0)
    held_out_scenes: int = Field(ge=1)
    held_out_clicks: int = Field(ge=1)
    evaluate_every: int = Field(ge=1)
    resume_every: int = Field(ge=1)


class MobileSamFoundation(Weights):
    """Decoupled distillation: the encoder learns from SAM's embeddings, everything else is SAM's."""

    architecture: TinyVitArchitecture
    training: EncoderDistillation
