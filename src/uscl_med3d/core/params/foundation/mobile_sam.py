"""Parameters of the base MobileSAM: a TinyViT distilled from the base SAM, or the official weights."""

from __future__ import annotations

from pydantic import Field

from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.base_model import BaseModel, Weights
from uscl_med3d.core.params.schedule import Schedule


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


class EncoderDistillation(Schedule):
    """How a TinyViT learns the teacher's embeddings."""

    scenes: int = Field(ge=1)
    batch_size: int = Field(ge=2)
    learning_rate: float = Field(gt=0)


class MobileSamFoundation(Weights):
    """Decoupled distillation: the encoder learns from SAM's embeddings, everything else is SAM's."""

    architecture: TinyVitArchitecture
    training: EncoderDistillation


BASE_MODEL = BaseModel(
    settings=MobileSamFoundation,
    title="MobileSAM",
    job=("seed", "threads", "device", "foundation.sam"),
    teacher="sam",
    official="mobile_sam.pt",
)
