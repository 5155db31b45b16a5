"""Parameters of the stage `ingest`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from uscl_med3d.core.params.base import Section


class Fan(Section):
    """How the image region (the fan of a convex probe, the rectangle of a linear one) is found."""

    threshold: int = Field(ge=1, le=254)
    working_side: int = Field(ge=32)
    opening: int = Field(ge=0)
    min_share: float = Field(gt=0, le=1)
    min_motion: float = Field(ge=0, le=1)
    max_labels_outside: float = Field(ge=0, le=1)


class Reconstruction(Section):
    """How a tracked sweep becomes a volume, where `tracked` is `reconstruct`."""

    spacing_mm: float = Field(gt=0)
    interpolation: Literal["nearest", "linear"]
    fill_mm: float = Field(ge=0)
    max_off_plane_mm: float = Field(gt=0)


class SplitFractions(Section):
    """Shares of the patients without a split in cohort.csv, within each group."""

    train: float = Field(ge=0, le=1)
    val: float = Field(ge=0, le=1)
    test: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train + val + test must be 1, not {total:g}")
        return self


class Ingest(Section):
    """See params.yaml, section `ingest`, for the meaning of each value."""

    spacing_mm: float = Field(gt=0)
    max_side: int = Field(ge=8)
    max_frames: int = Field(ge=1)
    frame_reduction: Literal["average", "pick"]
    held_out_key_frames: int = Field(ge=0)
    split_fractions: SplitFractions
    fan: Fan
    tracked: Literal["stack", "reconstruct"]
    reconstruction: Reconstruction
    bad_sweeps: Literal["leave_out", "stop"]
    workers: int = Field(ge=1)
