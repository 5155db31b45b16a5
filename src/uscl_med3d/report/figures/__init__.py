"""Figures 1 to 6 and the curves. One file per figure; a new figure is one file and one line in `FIGURES`."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from uscl_med3d.core.errors import InputError
from uscl_med3d.report import style
from uscl_med3d.report.figures import (
    click_curves,
    fig1,
    fig2,
    fig3,
    fig4,
    fig5,
    fig6,
    forgetting,
    learning_curves,
    pseudolabel_quality,
    rank_curve,
)
from uscl_med3d.report.figures.inputs import FigureInputs

FIGURES: dict[str, ModuleType] = {
    "fig1": fig1,
    "fig2": fig2,
    "fig3": fig3,
    "fig4": fig4,
    "fig5": fig5,
    "fig6": fig6,
    "learning_curves": learning_curves,
    "click_curves": click_curves,
    "rank_curve": rank_curve,
    "pseudolabel_quality": pseudolabel_quality,
    "forgetting": forgetting,
}

__all__ = ["FIGURES", "FigureInputs", "draw"]


def draw(name: str, job: Any, inputs: FigureInputs, out_dir: Path) -> None:
    """Write one figure as `<name>.png` and `<name>.pdf`. What is missing is said in the figure.

    Raises:
        InputError: for a name that is not in the registry, or an unreadable input file.
    """
    if name not in FIGURES:
        raise InputError(
            file="report/figures", found=f"figure {name!r}", expected=f"one of {', '.join(FIGURES)}",
            remedy="correct the name, or add a file to report/figures and a line to its registry",
        )  # fmt: skip
    with style.styled():
        style.save(FIGURES[name].build(job, inputs), Path(out_dir), name, job.report.dpi)
