"""Parameters of every training that learns all structures of a crop, voxel by voxel."""

from __future__ import annotations

from pydantic import Field

from uscl_med3d.core.params.base import Section


class DenseCells(Section):
    """How the head starts and which cells of its grid are learned from.

    Attributes:
        background_bias, structure_bias: of the head, at the start.
        majority: a cell without a class in this share of its voxels is ignored.
    """

    background_bias: float
    structure_bias: float
    majority: float = Field(gt=0.5, le=1)
