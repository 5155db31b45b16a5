"""One look for every figure: sizes, fonts, colours, and files whose bytes depend on their content alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import AbstractPathEffect, withStroke

from uscl_med3d.core.io import atomic
from uscl_med3d.report.tables.layout import shown

WIDTH_IN = 7.2
"""Width of a full-page figure in inches (a journal's two columns)."""

INK, MUTED, FAINT = "#222222", "#666666", "#D9D9D9"
BASELINE, OURS = "#666666", "#0072B2"
MISSED, EXTRA = "#D55E00", "#56B4E9"
"""Errors of a segmentation: reference voxels that were missed, and predicted voxels outside the reference."""

KNOWN_COLOURS = {
    "SAM-Med3D": BASELINE,
    "USCL-Med3D": OURS,
    "FastSAM3D": "#000000",
    "full tuning": "#D55E00",
    "AdaptFormer": "#009E73",
}
METHOD_COLOURS = ("#E69F00", "#CC79A7", "#56B4E9", "#A08A00", "#882255", "#44AA99")
"""Of further methods. Okabe and Ito's palette, its yellow darker for print."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)))

_RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "image.interpolation": "nearest",
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.hashsalt": "uscl-med3d",
    "pdf.compression": 6,
}


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Matplotlib settings of every figure, whatever the user's own settings are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)
        yield


def new_figure(height_in: float, width_in: float = WIDTH_IN) -> Figure:
    """An empty figure with automatic layout, without the global state of pyplot."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, out_dir: Path, name: str, dpi: int) -> None:
    """Write `<name>.png` and `<name>.pdf`; equal figures give equal bytes (no date, no version)."""
    _fix_layout(figure, dpi)
    with atomic(Path(out_dir) / f"{name}.png") as path:
        figure.savefig(path, dpi=dpi, metadata={"Software": None})
    dates = {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": None}
    with atomic(Path(out_dir) / f"{name}.pdf") as path:
        figure.savefig(path, dpi=dpi, metadata=dates)


def _fix_layout(figure: Figure, dpi: int) -> None:
    """Lay the figure out once, and round the places of its panels.

    The solver of the automatic layout orders its equations by memory address, so that its result differs in the last
    digits from run to run, which now and then moves a grey value of an antialiased line.
    """
    figure.set_dpi(dpi)  # the widths of texts depend on it
    for _ in range(2):  # the first moves panels, which may change their tick labels
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        left, bottom, width, height = axes.get_position(original=True).bounds
        axes.set_position((round(left, 6), round(bottom, 6), round(width, 6), round(height, 6)))


def method_colours(labels: Mapping[str, str]) -> dict[str, str]:
    """A colour for every method key: known labels have theirs in every figure, others come from the palette."""
    free = cycle(METHOD_COLOURS)
    return {key: KNOWN_COLOURS.get(label) or next(free) for key, label in labels.items()}


def class_title(name: str) -> str:
    """A class name as words."""
    return shown(name).replace("_", " ")


def say(axes: Axes, text: str, width: int = 34) -> None:
    """Fill an empty panel with the reason why it is empty, in lines of at most `width` characters."""
    axes.set_axis_off()
    look: dict[str, Any] = {"ha": "center", "va": "center", "transform": axes.transAxes, "color": MUTED}
    # Words must not push the panels around.
    axes.text(0.5, 0.5, wrap(text, width), **look).set_in_layout(False)


def wrap(text: str, width: int) -> str:
    """Text broken into lines of at most `width` characters."""
    import textwrap

    return "\n".join(textwrap.wrap(text, width))


def halo(colour: str = "black", width: float = 2.0) -> list[AbstractPathEffect]:
    """A thin outline that keeps lines and letters legible on speckle."""
    return [withStroke(linewidth=width, foreground=colour)]


def share_legend(figure: Figure, panels: Iterable[Axes], columns: int = 6, markerscale: float = 1.0) -> None:
    """One legend below several panels, each entry once; nothing where no panel has an entry."""
    handles: dict[str, Any] = {}
    for panel in panels:
        lines, labels = panel.get_legend_handles_labels()
        handles |= dict(zip(labels, lines, strict=True))
    if handles:
        columns = min(columns, len(handles))
        look: dict[str, Any] = {"loc": "outside lower center", "ncols": columns, "markerscale": markerscale}
        figure.legend(handles.values(), handles.keys(), **look)
