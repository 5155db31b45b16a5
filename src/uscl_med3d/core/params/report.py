"""Parameters of the stage `report`."""

from __future__ import annotations

from uscl_med3d.core.params.base import Section


class Report(Section):
    """See params.yaml, section `report`, for the meaning of each value."""
