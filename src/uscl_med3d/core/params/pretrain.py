"""Parameters of the stage `pretrain`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.schedule import Schedule


class Pretrain(Section):
    """What all pretext tasks share; the options of each are validated by its own file in `pretext/`.

    Attributes:
        alpha_rule: LoRA scale: equal_rank (alpha = r) | twice_rank (2 r) | fixed:<number>; as in fine-tuning.
        layers: which layers get adapters; as in fine-tuning.
        dropout: of the adapters' input.
        schedule: of every task, so that they differ in what they teach and not in how long.
        tasks: name -> options.
    """

    alpha_rule: str = Field(pattern=r"^(equal_rank|twice_rank|fixed:\d+(\.\d+)?)$")
    layers: Literal["attention", "attention_and_mlp"] = "attention"
    dropout: float = Field(ge=0, lt=1)
    schedule: Schedule
    tasks: dict[str, dict[str, Any]]
