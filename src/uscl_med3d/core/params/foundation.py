"""Parameters of the stage `foundation`: the base models."""

from __future__ import annotations

from uscl_med3d.core.params.base import Section


class Weights(Section):
    """Where a base model comes from: trained here (`train`), or an official checkpoint file."""

    weights: str
    sha256: str | None
    source: str


class SamMed3DFoundation(Weights):
    """Training of the small SAM-Med3D on the general-domain sets."""


class SegGptFoundation(Weights):
    """Training of the small SegGPT on synthetic natural-looking scenes."""


class Foundation(Section):
    """See params.yaml, section `foundation`."""

    sam_med3d: SamMed3DFoundation
    seggpt: SegGptFoundation
