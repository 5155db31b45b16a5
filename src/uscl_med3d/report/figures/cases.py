"""Every test case as a dot: Dice after the last click, one panel per class, methods below each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from uscl_med3d.core import seeds
from uscl_med3d.report.figures.inputs import FigureInputs
from uscl_med3d.report.scores import explain_missing, read_scores
from uscl_med3d.report.style import INK, MUTED, OURS, class_title, new_figure, say, share_legend
from uscl_med3d.report.tables.context import Context
from uscl_med3d.report.tables.table7 import list_labels, source

TITLE = "Every test case"
CAPTION = (
    "Ultrasound Dice after the last click (without clicks: of the one mask): a dot is a test case of the class, a bar "
    "the median, whose value stands at the right. Dotted: the limit of a failure. Cases of one patient are not "
    "independent, so the dots say how often and how badly a method fails, not how sure a difference is. Medians of "
    "cases, where the tables have means."
)

KINDS = {
    "clicks": ("clicks in the volume", OURS),
    "slice_clicks": ("clicks in every slice", "#E69F00"),
    "key_frames": ("annotated key frames", "#009E73"),
    "none": ("no prompt", "#D55E00"),
}
"""Kind of prompt: words and colour. Methods are grouped by it."""


def build(job: Any, inputs: FigureInputs) -> Figure:
    """One panel per class, one strip per method."""
    context = Context.of(job, read_scores(inputs.scores))
    rows = context.scores[context.scores["dataset"] == "us"]
    scored = [label for label in list_labels(context) if len(_scored(context, label))]
    labels = sorted(scored, key=lambda label: list(KINDS).index(_prompt(context, label)))
    if not labels:
        figure = new_figure(2.6)
        say(figure.subplots(), explain_missing(rows), 60)
        return figure
    figure = new_figure(1.1 + 0.27 * len(labels))
    panels = figure.subplots(1, len(context.shown_classes), sharex=True, sharey=True, squeeze=False)[0]
    for panel, name in zip(panels, context.shown_classes, strict=True):
        _panel(panel, context, name, labels)
    panels[0].set_yticks(range(len(labels)), [class_title(label) for label in labels])
    panels[0].set_ylim(len(labels) - 0.4, -0.6)
    panels[0].set_xlim(-3, 125)
    panels[len(panels) // 2].set_xlabel("Dice")
    share_legend(figure, panels, markerscale=2.2)
    return figure


def _scored(context: Context, label: str) -> pd.DataFrame:
    place = source(context, {"method": label})
    return context.scored(place.runs, "us", place.click)


def _prompt(context: Context, label: str) -> str:
    return context.job.methods[context.method_with_label(label)].prompt


def _panel(axes: Axes, context: Context, name: str, labels: list[str]) -> None:
    axes.set_title(class_title(name))
    axes.axvline(context.job.report.failure_dice, color=MUTED, lw=0.8, ls=":", zorder=1)
    for row, label in enumerate(labels):
        rows = _scored(context, label)
        # Of several training seeds, a case is shown by its mean: a dot is a case, not a training.
        values = rows[rows["class"] == name].groupby(["patient", "case"])["dice"].mean().to_numpy()
        if not len(values):
            axes.text(50, row, "no scored case", ha="center", va="center", fontsize=5.5, color=MUTED)
            continue
        rng = seeds.rng(context.job.seed, "report", "strip", name, label)
        jitter = rng.uniform(-0.27, 0.27, len(values))
        words, colour = KINDS[_prompt(context, label)]
        axes.plot(values, row + jitter, "o", color=colour, ms=2.2, mew=0, alpha=0.65, zorder=2, label=words)
        median = float(np.median(values))
        axes.plot([median] * 2, [row - 0.36, row + 0.36], color=INK, lw=1.8, solid_capstyle="butt", zorder=3)
        axes.text(105, row, f"{median:.0f}", ha="left", va="center", fontsize=6.5, color=INK)
    axes.set_xticks([0, 50, 100])
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
