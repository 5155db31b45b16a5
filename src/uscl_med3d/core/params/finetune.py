"""Parameters of the stage `finetune`."""

from __future__ import annotations

from uscl_med3d.core.params.base import Section


class Finetune(Section):
    """See params.yaml, section `finetune`, for the meaning of each value."""
