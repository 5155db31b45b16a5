"""Figures 1 to 6 and the curves. One file per figure; a new figure is one file and its name in
`core.reporting.FIGURES`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.reporting import FIGURES
from uscl_med3d.report import style
from uscl_med3d.report.figures.inputs import FigureInputs

__all__ = ["FIGURES", "FigureInputs", "draw", "find_figure"]


def find_figure(name: str) -> ModuleType:
    """The module of a figure; only this one is imported, so that an edit of one figure redraws only that one.

    Raises:
        InputError: for a name that is not in the registry.
    """
    if name not in FIGURES:
        raise InputError(
            file="report/figures",
            found=f"figure {name!r}",
            expected=f"one of {', '.join(FIGURES)}",
            remedy="correct the name, or add a file to report/figures and its name to the registry",
        )
    return import_module(f"{__name__}.{name}")


def draw(name: str, job: Any, inputs: FigureInputs, out_dir: Path) -> None:
    """Write one figure as `<name>.png` and `<name>.pdf`. What is missing is said in the figure.

    Raises:
        InputError: for a name that is not in the registry, or an unreadable input file.
    """
    with style.styled():
        style.save(find_figure(name).build(job, inputs), Path(out_dir), name, job.figures.dpi)
