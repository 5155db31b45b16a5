"""Parameters of the stage `evaluate`."""

from __future__ import annotations

from uscl_med3d.core.params.base import Section


class Evaluate(Section):
    """See params.yaml, section `evaluate`, for the meaning of each value."""
