"""What every base model's section begins with."""

from __future__ import annotations

from uscl_med3d.core.params.base import Section


class Weights(Section):
    """Where a base model comes from: trained here (`train`), or an official checkpoint file."""

    weights: str
    sha256: str | None
    source: str
