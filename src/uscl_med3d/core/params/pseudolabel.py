"""Parameters of the stage `pseudolabel`."""

from __future__ import annotations

from uscl_med3d.core.params.base import Section


class Pseudolabel(Section):
    """See params.yaml, section `pseudolabel`, for the meaning of each value."""
