"""Parameters of the rule `measure`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from uscl_med3d.core.params.base import Section


class Measure(Section):
    """See params.yaml, section `measure`, for the meaning of each value; `methods` is null in job files."""

    methods: Literal["all"] | tuple[str, ...] | None
    alone: bool
    least_passes: int = Field(ge=1)
    most_passes: int = Field(ge=1)
    enough_seconds: float = Field(ge=0)
    most_seconds: float = Field(gt=0)
