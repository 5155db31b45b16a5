"""Parameters of the stage `ingest`."""

from __future__ import annotations

from uscl_med3d.core.params.base import Section


class Ingest(Section):
    """See params.yaml, section `ingest`, for the meaning of each value."""
