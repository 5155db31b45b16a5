"""Parameters of the annotation-cost curve."""

from __future__ import annotations

from pydantic import Field

from uscl_med3d.core.params.base import Section


class Annotation(Section):
    """See params.yaml, section `annotation`."""

    key_frames: tuple[int, ...] = Field(min_length=1)
    method: str
