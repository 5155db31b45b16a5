"""Dice against the number of clicks, with bands, for the methods of Tables 1, 2 and 4."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from uscl_med3d.core import seeds
from uscl_med3d.report.figures.inputs import FigureInputs
from uscl_med3d.report.scores import explain_missing, read_scores
from uscl_med3d.report.statistics import estimate
from uscl_med3d.report.style import MARKERS, class_title, method_colours, new_figure, say, share_legend
from uscl_med3d.report.tables.context import DATASETS, Context

TITLE = "Dice after each click"
CAPTION = (
    "Mean over classes of the mean over test cases after each click; bands are 95 % intervals over patients. "
    "Bands of two methods may overlap although their paired difference is clear: see the claims. Dashed with hollow "
    "marks: so many clicks in every slice that shows the object, which is many times as many in the volume."
)


def build(job: Any, inputs: FigureInputs) -> Figure:
    """One panel per dataset, one line per method."""
    context = Context.of(job, read_scores(inputs.scores))
    sets = dict(list(DATASETS.items())[: 1 if context.own else None])
    figure = new_figure(3.4 if context.own else 6.0)
    grid = figure.subplots(*((1, 1) if context.own else (2, 2)), sharex=True, sharey=True, squeeze=False)
    panels = list(grid.flat)
    for panel, (dataset, title) in zip(panels, sets.items(), strict=True):
        panel.set_title({"us": "ultrasound"}.get(dataset, title))
        _panel(panel, context, dataset)
    for panel in grid[:, 0]:
        panel.set_ylabel("Dice")
    for panel in grid[-1]:
        panel.set_xlabel("clicks")
    share_legend(figure, panels, columns=4)
    return figure


def _panel(axes: Axes, context: Context, dataset: str) -> None:
    rows = context.scores[context.scores["dataset"] == dataset]
    if rows["dice"].notna().sum() == 0:
        say(axes, explain_missing(rows), 22)
        return
    drawn = [
        (name, entry)
        for name, entry in context.job.methods.items()
        if entry.takes == "clicks" and entry.weights_of is None
    ]
    colours = method_colours({name: entry.label for name, entry in drawn})
    points_shown = context.job.report.points
    for marker, (name, entry) in zip(MARKERS * 3, drawn, strict=False):
        points = curve(context, name, dataset)
        if points:
            clicks, mean, low, high = zip(*points, strict=True)
            axes.fill_between(clicks, low, high, color=colours[name], alpha=0.12, lw=0)
            # Clicks in every slice cost more than clicks in a volume: another line, and a note in the label.
            per_slice = entry.works_on == "slice"
            label = class_title(entry.label) + (" (per slice)" if per_slice else "")
            axes.plot(
                clicks,
                mean,
                "--" if per_slice else "-",
                color=colours[name],
                marker=marker,
                # Hollow and dashed: clicks in every slice. Marks only where the tables have numbers.
                mfc="white" if per_slice else colours[name],
                markevery=[number for number, click in enumerate(clicks) if click in points_shown],
                ms=4.5,
                label=label,
            )
    axes.set_ylim(0, 100)
    axes.set_xticks(points_shown)
    axes.tick_params(labelbottom=True, labelleft=True)


def curve(context: Context, method: str, dataset: str) -> list[tuple[int, float, float, float]]:
    """(click, mean, low, high) of a method's main runs at every recorded click."""
    runs, report, points = context.main_runs(method), context.job.report, []
    for click in context.clicks(dataset):
        rows = context.scored(runs, dataset, click)
        if len(rows):
            # One stream for all clicks: the band follows the same resampled patients, so it does not jitter.
            rng = seeds.rng(context.job.seed, "report", "click_curves", method, dataset)
            made = estimate(rows, context.classes_of(dataset), report.confidence, report.n_boot, rng)
            points.append((click, made.mean, made.low, made.high))
    return points
