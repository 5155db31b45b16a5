"""How folders of general-domain sets are read."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from uscl_med3d.core.params.base import Section


class GeneralReading(Section):
    """See params.yaml, section `general_reading`, for the meaning of each value."""

    spacing_mm: float | None = Field(gt=0)
    modalities: tuple[Literal["ct", "mr"], ...] = Field(min_length=1)
    test_fraction: float = Field(gt=0, lt=1)
