"""Parameters of the stage `report`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from uscl_med3d.core.params.base import Section

Percent = Annotated[float, Field(gt=0, lt=100)]


class Report(Section):
    """See params.yaml, section `report`, for the meaning of each value."""

    points: tuple[int, ...] = Field(min_length=1)
    confidence: float = Field(gt=0, lt=1)
    n_boot: int = Field(ge=100)
    n_permutations: int = Field(ge=100)
    alpha: float = Field(gt=0, lt=1)
    power: float = Field(gt=0, lt=1)
    margin: float = Field(gt=0)
    few_patients: int = Field(ge=2)
    noc_targets: tuple[Percent, ...]
    failure_dice: Percent


class Figures(Section):
    """See params.yaml, section `figures`. A figure's job file holds only what the figure shows; the rest is null."""

    drawn: Literal["all"] | tuple[str, ...] | None
    dpi: int = Field(ge=72, le=300)
    example_sweeps: int | None = Field(ge=1)
    vcl_crops_drawn: int | None = Field(ge=1)
    colours: dict[str, str] | None


SHOWN_IN: dict[str, tuple[str, ...]] = {
    "example_sweeps": ("fig1", "fig2", "fig3"),
    "vcl_crops_drawn": ("fig5",),
    "colours": ("fig1", "fig2", "fig3", "fig6", "failures"),
}
"""Value of the section `figures`: the figures that it changes. `dpi` changes all, `drawn` none."""
