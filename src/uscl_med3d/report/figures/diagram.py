"""Boxes and arrows of the schematic figures, in plain axes units."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from uscl_med3d.report.style import INK, OURS

FROZEN_FACE, TRAINED_FACE, DATA_FACE = "#EDEDED", "#DCEBF7", "#FFFFFF"


def prepare(axes: Axes, width: float, height: float) -> None:
    """An empty drawing area of `width` x `height` units, origin at the lower left, without axes."""
    axes.set_xlim(-0.004 * width, 1.004 * width)
    axes.set_ylim(-0.004 * height, 1.004 * height)
    axes.set_axis_off()


def box(
    axes: Axes,
    x: float,
    y: float,
    width: float,
    height: float,
    text: str,
    *,
    face: str = FROZEN_FACE,
    edge: str = INK,
    size: float = 7,
    bold: bool = False,
) -> tuple[float, float, float, float]:
    """A rounded box with centred text; returns (x, y, width, height) for `arrow`."""
    rounded = "round,pad=0,rounding_size=0.8"
    axes.add_patch(
        FancyBboxPatch((x, y), width, height, boxstyle=rounded, fc=face, ec=edge, lw=0.9, zorder=2)
    )
    look: dict[str, Any] = {
        "fontsize": size,
        "weight": "bold" if bold else "normal",
        "zorder": 3,
        "linespacing": 1.25,
    }
    axes.text(x + width / 2, y + height / 2, text, ha="center", va="center", **look)
    return x, y, width, height


def trained_box(
    axes: Axes, x: float, y: float, width: float, height: float, text: str, size: float = 7
) -> tuple[float, float, float, float]:
    """A box that holds trained weights."""
    return box(axes, x, y, width, height, text, face=TRAINED_FACE, edge=OURS, size=size)


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """An arrow between two points."""
    look: dict[str, Any] = {
        "arrowstyle": "-|>",
        "mutation_scale": 7,
        "lw": 0.9,
        "color": INK,
        "shrinkA": 0,
        "shrinkB": 0,
    }
    axes.add_patch(FancyArrowPatch(start, end, zorder=1.5, **look))


def note(
    axes: Axes, x: float, y: float, text: str, size: float = 6.5, colour: str = INK, ha: str = "center"
) -> None:
    """Free text."""
    axes.text(x, y, text, fontsize=size, color=colour, ha=ha, va="center", linespacing=1.25, zorder=3)
