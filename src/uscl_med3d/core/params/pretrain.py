"""Parameters of the stage `pretrain`."""

from __future__ import annotations

from uscl_med3d.core.params.base import Section


class Pretrain(Section):
    """See params.yaml, section `pretrain`, for the meaning of each value."""
