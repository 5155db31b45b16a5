"""Figure 1: an example frame of each kind of acquisition, without and with the human annotation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
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
    examples = find_examples(job.classes, job.figures.example_sweeps, inputs)
    if not examples:
        say(figure.subplots(), "no annotated frame in this cohort", 60)
        return figure
    axes = figure.subplots(2, len(examples), squeeze=False)
    for column, (title, (sweep, frame)) in enumerate(examples.items()):
        axes[0, column].set_title(title)
        for row in (0, 1):
            show_frame(axes[row, column], sweep.image[frame], sweep.aspect)
        outline_labels(axes[1, column], sweep.key_frames[frame], job.classes, job.figures.colours)
        axes[1, column].set_xlabel(f"{sweep.name}\nframe {frame}", fontsize=6)
    labelled = np.concatenate([np.unique(sweep.key_frames[frame]) for sweep, frame in examples.values()])
    _legend(figure, job, [name for name, value in job.classes.items() if value in labelled])
    return figure


def needed(classes: Mapping[str, int], limit: int, inputs: FigureInputs) -> Needed:
    """One frame of the sweep of each kind."""
    for sweep, frame in find_examples(classes, limit, inputs).values():
        yield sweep.name, [frame]


def find_examples(
    classes: Mapping[str, int], limit: int, inputs: FigureInputs
) -> dict[str, tuple[Sweep, int]]:
    """Title -> sweep and frame: the paper's kinds as far as there are any, then a frame of every other class."""
    kinds = [*KINDS, *((class_title(name), name, ()) for name in classes)]
    found: dict[str, tuple[Sweep, int]] = {}
    shown: set[str] = set()
    for title, name, views in kinds:
        example = None if not views and name in shown else find_example(classes, limit, inputs, name, views)
        if example is not None:
            found[title] = example
            shown.add(name)
    return found


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


def _legend(figure: Figure, job: Any, names: list[str]) -> None:
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
        for name in names
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
