"""Parameters of the stage `pretrain`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from uscl_med3d.core.params.base import Section


class Augmentation(Section):
    """Random changes of each crop, as in VoCo; the paper names none."""

    flip_probability: float = Field(ge=0, le=1)
    rotate_probability: float = Field(ge=0, le=1)
    shift_probability: float = Field(ge=0, le=1)
    shift: float = Field(ge=0)


class Pretrain(Section):
    """See params.yaml, section `pretrain`, for the meaning of each value."""

    form: Literal["paper", "code"]
    log_margin: float = Field(gt=0, lt=1)
    base_grid: tuple[int, int, int]
    random_crops: int = Field(ge=1)
    momentum: float = Field(ge=0, le=1)
    head: Literal["linear", "mlp"]
    head_hidden_dim: int = Field(ge=1)
    head_dim: int = Field(ge=2)
    head_components: int = Field(ge=2)
    whitening_sweeps: int = Field(ge=1)
    alpha_rule: str = Field(pattern=r"^(equal_rank|twice_rank|fixed:\d+(\.\d+)?)$")
    dropout: float = Field(ge=0, lt=1)
    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    head_learning_rate: float = Field(gt=0)
    warmup_steps: int = Field(ge=0)
    weight_decay: float = Field(ge=0)
    gradient_norm: float = Field(gt=0)
    augmentation: Augmentation
    validation_crops: int = Field(ge=1)
    validate_every: int = Field(ge=1)
    checkpoint_every: int = Field(ge=1)
