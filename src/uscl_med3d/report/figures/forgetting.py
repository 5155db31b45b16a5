"""What tuning on ultrasound costs elsewhere: ultrasound gain against the loss on the general-domain sets."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from uscl_med3d.report.contrasts import Contrast, Level, measure
from uscl_med3d.report.figures.inputs import FigureInputs
from uscl_med3d.report.reported import reported_value
from uscl_med3d.report.scores import explain_missing, read_scores
from uscl_med3d.report.statistics import Difference
from uscl_med3d.report.style import MARKERS, MUTED, method_colours, new_figure, say, share_legend
from uscl_med3d.report.tables.context import DATASETS, Context
from uscl_med3d.report.tables.layout import shown
from uscl_med3d.report.tables.table4 import BASELINE, registry_key, row_names

TITLE = "Ultrasound gain against forgetting"
CAPTION = (
    "Change of Dice against the untuned SAM-Med3D after the last click: ultrasound (across) against each "
    "general-domain set (up). Below the line the model has forgotten. Bars are 95 % intervals of the paired "
    "difference over patients; hollow marks are the paper's values, which have no interval."
)


def build(job: Any, inputs: FigureInputs) -> Figure:
    """One panel per general-domain set."""
    context = Context.of(job, read_scores(inputs.scores))
    figure = new_figure(3.0)
    sets = [name for name in DATASETS if name != "us"]
    panels = figure.subplots(1, len(sets), sharex=True, sharey=True)
    ultrasound = context.scores[context.scores["dataset"] == "us"]
    if ultrasound["dice"].notna().sum() == 0:
        for panel in panels:
            say(panel, explain_missing(ultrasound), 28)
        return figure
    gains = {row: difference_to_baseline(context, row, "us") for row in _tuned(context)}
    for panel, dataset in zip(panels, sets, strict=True):
        _panel(panel, context, dataset, gains)
    panels[0].set_ylabel("change on the general-domain set")
    share_legend(figure, panels, columns=2)
    return figure


def _tuned(context: Context) -> list[str]:
    """Rows of Table 4 that differ from the baseline: not itself, nor the row with its adapter off."""
    off = {name for name, entry in context.job.methods.items() if entry.weights_of}
    return [row for row in row_names(context) if row != BASELINE and registry_key(context, row) not in off]


def difference_to_baseline(context: Context, row: str, dataset: str) -> Difference | None:
    """Paired difference of a row of Table 4 and the baseline on one dataset."""
    base, name = registry_key(context, BASELINE), registry_key(context, row)
    if base is None or name is None:
        return None
    levels = tuple(
        Level(weight, tuple(context.main_runs(method)), dataset, context.last_point)
        for weight, method in ((1.0, name), (-1.0, base))
    )
    made = measure(context, Contrast(f"{row} against the baseline", levels))
    return None if isinstance(made, str) else made


def _panel(axes: Axes, context: Context, dataset: str, gains: dict[str, Difference | None]) -> None:
    axes.set_title(DATASETS[dataset])
    axes.axhline(0, color=MUTED, lw=0.8)
    axes.axvline(0, color=MUTED, lw=0.8)
    colours = method_colours({key: entry.label for key, entry in context.job.methods.items()})
    for marker, (row, gain) in zip(MARKERS, gains.items(), strict=False):
        colour = colours.get(registry_key(context, row) or "", MUTED)
        loss = difference_to_baseline(context, row, dataset)
        if gain is not None and loss is not None:
            across = [[gain.mean - gain.low], [gain.high - gain.mean]]
            up = [[loss.mean - loss.low], [loss.high - loss.mean]]
            look: dict[str, Any] = {
                "color": colour,
                "marker": marker,
                "ms": 5,
                "lw": 1.1,
                "capsize": 2,
                "ls": "none",
            }
            axes.errorbar(gain.mean, loss.mean, xerr=across, yerr=up, label=shown(row), **look)
        _paper(axes, row, dataset, colour, marker)
    axes.set_xlabel("change on ultrasound")


def _paper(axes: Axes, row: str, dataset: str, colour: str, marker: str) -> None:
    across, up = (
        reported_value("table4", method=row, dataset=name)
        - reported_value("table4", method=BASELINE, dataset=name)
        for name in ("3dus", DATASETS[dataset])
    )
    if math.isnan(across) or math.isnan(up):
        return  # a row that the paper does not have
    axes.plot(across, up, marker, color=colour, mfc="white", ms=5, ls="none", label=f"{shown(row)}, reported")
