"""Parameters of the search for training values."""

from __future__ import annotations

from typing import Any

from uscl_med3d.core.params.base import Section


class Search(Section):
    """See params.yaml, section `search`."""

    candidates: dict[str, tuple[dict[str, Any], ...]]
