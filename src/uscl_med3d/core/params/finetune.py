"""Parameters of the stage `finetune`."""

from __future__ import annotations

from pydantic import Field

from uscl_med3d.core.params.training import ClickTraining


class Finetune(ClickTraining):
    """See params.yaml, section `finetune`, for the meaning of each value."""

    crops_per_target: int = Field(ge=1)
    validation_targets: int = Field(ge=0)
