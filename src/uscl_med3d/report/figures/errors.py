"""A case with its errors: reference, prediction, missed and surplus voxels, clicks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from uscl_med3d.core.reporting import SHOWN
from uscl_med3d.report.figures.inputs import UNLABELLED, FigureInputs, Sweep, load_sweep
from uscl_med3d.report.style import EXTRA, MISSED, halo
from uscl_med3d.report.tables.context import Context

NEAR_FRAMES = 2


@dataclass(frozen=True)
class Case:
    """One case of one class: sweep, reference mask, known voxels, frame to show."""

    sweep: Sweep
    truth: np.ndarray
    known: np.ndarray
    frame: int


def shown_runs(context: Context) -> list[tuple[str, str]]:
    """(label, run id) of the base model and of the paper's model, as far as the registry has them."""
    methods = context.job.methods
    return [(methods[name].label, context.main_runs(name)[0].id) for name in SHOWN if name in methods]


def load_case(inputs: FigureInputs, sweep: str, value: int) -> Case | None:
    """A case of the class with this label value, on the frame with the largest reference area; None without its volume.

    Without complete reference masks, the annotated key frames are the reference and other frames are unknown.
    """
    loaded = load_sweep(inputs, sweep)
    if loaded is None:
        return None
    labels = loaded.reference()
    labels = loaded.key_frames if labels is None else labels
    truth, known = labels == value, labels != UNLABELLED
    return Case(loaded, truth, known, int(truth.sum((1, 2)).argmax()))


def draw_errors(axes: Axes, case: Case, predicted: np.ndarray) -> None:
    """Colour what a predicted frame (h, w) has missed and what it has in surplus."""
    truth, known = case.truth[case.frame], case.known[case.frame]
    layer = np.zeros((*truth.shape, 4))
    layer[truth & ~predicted & known] = (*to_rgb(MISSED), 0.65)
    layer[predicted & ~truth & known] = (*to_rgb(EXTRA), 0.65)
    axes.imshow(layer, aspect=case.sweep.aspect)


def click_history(context: Context, run: str, case: str, name: str) -> pd.DataFrame:
    """Rows of the first way of clicking, one per click, of one case and class, on the chosen reference."""
    scores, evaluate = context.scores, context.job.evaluate
    rows = scores[(scores["run"] == run) & (scores["case"] == case) & (scores["class"] == name)]
    rows = rows[rows["click_seed"] == evaluate.click_seeds[0]]
    if (rows["reference"] == context.reference).any():
        rows = rows[rows["reference"] == context.reference]
    return rows.sort_values("click").drop_duplicates("click")


def draw_clicks(axes: Axes, case: Case, history: pd.DataFrame) -> None:
    """Clicks of all frames, projected onto the frame shown; faint if more than `NEAR_FRAMES` away."""
    if "click_d" not in history:
        return
    for row in history[history["click_d"].notna()].to_dict("records"):
        near = abs(row["click_d"] - case.frame) <= NEAR_FRAMES
        marker, colour = ("+", "#F0E442") if row["click_label"] == 1 else ("x", "#CC79A7")
        size, width, alpha = (5, 1.3, 1.0) if near else (3.5, 0.8, 0.6)
        axes.plot(
            row["click_w"],
            row["click_h"],
            marker,
            color=colour,
            ms=size,
            mew=width,
            alpha=alpha,
            path_effects=halo("black", width + 0.9),
        )


def draw_legend(figure: Figure) -> None:
    """What the colours and marks mean, below the figure."""
    inside: dict[str, Any] = {"color": "#F0E442", "marker": "+", "label": "click inside"}
    outside: dict[str, Any] = {"color": "#CC79A7", "marker": "x", "label": "click outside"}
    handles = [
        Patch(color=MISSED, alpha=0.65, label="missed"),
        Patch(color=EXTRA, alpha=0.65, label="outside the reference"),
        Line2D([], [], color="white", lw=1.2, label="prediction", path_effects=halo("black", 2.4)),
        *(Line2D([], [], ls="none", mew=1.5, path_effects=halo(), **look) for look in (inside, outside)),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
