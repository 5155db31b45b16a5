"""Parameters of every training, whatever is trained: how long, how fast, how often measured and saved."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from uscl_med3d.core.params.base import Section


class Schedule(Section):
    """What `train.engine` reads; each training adds fields of its own.

    Attributes:
        steps: optimiser steps.
        batch_size: examples per step.
        warmup_steps: the learning rate rises linearly over so many steps, then falls as half a cosine.
        final_learning_rate: share of the highest rate that is left at the end.
        weight_decay: of AdamW.
        gradient_norm: gradients are clipped at this norm.
        evaluate_every: steps between rows of the learning curve.
        resume_every: steps between resume files.
        keep: `last`: the weights of the last step count; `best`: those of the best row of the learning curve.
        patience: the training ends after so many rows without a better one; null: never before the last step.
    """

    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    warmup_steps: int = Field(ge=0)
    final_learning_rate: float = Field(ge=0, le=1)
    weight_decay: float = Field(ge=0)
    gradient_norm: float = Field(gt=0)
    evaluate_every: int = Field(ge=1)
    resume_every: int = Field(ge=1)
    keep: Literal["best", "last"] = "last"
    patience: int | None = Field(default=None, ge=1)
