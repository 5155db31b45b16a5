"""Figure 1: an example frame of each kind of acquisition, without and with the human annotation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from uscl_med3d.report.figures.images import outline_labels, show_frame
from uscl_med3d.report.figures.inputs import FigureInputs, Needed, Sweep, largest_frame, read_sweeps
from uscl_med3d.report.style import class_title, halo, new_figure, say

TITLE = "Figure 1. The six kinds of frames and their annotations"
CAPTION = (
    "One annotated key frame of each kind, as acquired (top) and with the annotator's contours (bottom); of "
    "the first sweeps of each view, the frame with the largest annotated area. Examples, not a sample."
)

KINDS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("pleural effusion", "pleural_effusion", ("chest",)),
    ("ascites", "ascites", ("abdomen_right", "abdomen_left")),
    ("liver", "liver", ("abdomen_right",)),
    ("left kidney", "kidney", ("abdomen_left",)),
    ("right kidney", "kidney", ("abdomen_right",)),
    ("spleen", "spleen", ("abdomen_left",)),
)
"""Title, class and views of each kind in the paper's Figure 1."""


def build(job: Any, inputs: FigureInputs) -> Figure:
    """Two rows (frame, annotated frame), one column per kind."""
    figure = new_figure(3.0)
    axes = figure.subplots(2, len(KINDS))
    for column, (title, name, views) in enumerate(KINDS):
        found = find_example(job.classes, job.figures.example_sweeps, inputs, name, views)
        axes[0, column].set_title(title)
        if found is None:
            say(axes[0, column], f"no annotated frame with {title} in this cohort", 16)
            axes[1, column].set_axis_off()
            continue
        sweep, frame = found
        for row in (0, 1):
            show_frame(axes[row, column], sweep.image[frame], sweep.aspect)
        outline_labels(axes[1, column], sweep.key_frames[frame], job.classes, job.figures.colours)
        axes[1, column].set_xlabel(f"{sweep.name}\nframe {frame}", fontsize=6)
    _legend(figure, job)
    return figure


def needed(classes: Mapping[str, int], limit: int, inputs: FigureInputs) -> Needed:
    """One frame of the sweep of each kind."""
    for _, name, views in KINDS:
        found = find_example(classes, limit, inputs, name, views)
        if found is not None:
            yield found[0].name, [found[1]]


def find_example(
    classes: Mapping[str, int], limit: int, inputs: FigureInputs, name: str, views: tuple[str, ...]
) -> tuple[Sweep, int] | None:
    """The annotated frame with the largest area of a class among the first `limit` sweeps of some views."""
    if name not in classes:
        return None
    best: tuple[int, Sweep, int] | None = None
    for sweep in read_sweeps(inputs, views, limit):
        frame, area = largest_frame(sweep.key_frames, classes[name])
        if area and (best is None or area > best[0]):
            best = (area, sweep, frame)
    return (best[1], best[2]) if best else None


def _legend(figure: Figure, job: Any) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [],
            [],
            color=job.figures.colours[name],
            lw=2,
            label=class_title(name),
            path_effects=halo("black", 2.6),
        )
        for name in job.classes
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
