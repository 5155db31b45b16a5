"""Table 5 as a curve: Dice against LoRA rank, with every training seed shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from uscl_med3d.core import seeds
from uscl_med3d.report.figures.inputs import FigureInputs
from uscl_med3d.report.patients import gather, macro_mean
from uscl_med3d.report.reported import load_reported, reported_value
from uscl_med3d.report.scores import explain_missing, read_scores
from uscl_med3d.report.statistics import estimate
from uscl_med3d.report.style import MUTED, new_figure, say, share_legend
from uscl_med3d.report.tables.context import MODULES, Context, source_of_cell
from uscl_med3d.report.tables.layout import shown
from uscl_med3d.report.words import count

TITLE = "Dice against LoRA rank"
CAPTION = (
    "Ultrasound Dice after the last click by LoRA rank: left, this run, with 95 % intervals over patients "
    "(small circles are single training seeds); right, as the paper reports it, without intervals. The panels have "
    "different data."
)

LOOK = {"encoder": ("#0072B2", "o"), "decoder": ("#D55E00", "s"), "both": ("#009E73", "^")}


def build(job: Any, inputs: FigureInputs) -> Figure:
    """Ours and the paper's panel."""
    context = Context.of(job, read_scores(inputs.scores))
    figure = new_figure(2.8)
    ours, paper = figure.subplots(1, 2)
    _ours(ours, context)
    _paper(paper, context)
    share_legend(figure, (paper, ours))  # ours last: its handles stand for a name
    return figure


def _ranks(context: Context) -> tuple[int, ...]:
    """Those of this run and those of the paper, so that both panels have one axis."""
    grid = context.grid()
    made = set(grid.ranks) if grid else set()
    paper = set() if context.own else {int(rank) for rank in load_reported("table5")["rank"]}
    return tuple(sorted(made | paper))


def _ours(axes: Axes, context: Context) -> None:
    axes.set_title("this run")
    rows = context.scores[context.scores["dataset"] == "us"]
    grid = context.grid()
    if grid is None or rows["dice"].notna().sum() == 0:
        say(axes, explain_missing(rows) if grid else "no method with a LoRA sweep")
        return
    swept = [modules for modules in LOOK if modules in grid.modules]
    for number, modules in enumerate(swept):
        colour, marker = LOOK[modules]
        made = [_estimate(context, rank, modules) for rank in _ranks(context)]
        x = np.arange(len(made)) + 0.18 * (number - (len(swept) - 1) / 2)
        mean, low, high = (_collect(made, name) for name in ("mean", "low", "high"))
        axes.errorbar(
            x,
            mean,
            yerr=[mean - low, high - mean],
            color=colour,
            marker=marker,
            capsize=2,
            lw=1.2,
            label=shown(MODULES[modules]),
        )
        for position, rank in zip(x, _ranks(context), strict=True):
            dots = _seed_means(context, rank, modules)
            axes.plot(
                [position + 0.07] * len(dots),
                dots,
                "o",
                color=colour,
                mfc="white",
                ms=2.6,
                mew=0.7,
                zorder=4,
                label="one training seed" if (modules, rank) == (swept[-1], grid.ranks[0]) else None,
            )
    texts = [count(len(context.job.training_seeds), "training seed")]
    if set(_ranks(context)) - set(grid.ranks):
        texts.append("other ranks: not made in this run")
    axes.text(0.98, 0.03, "\n".join(texts), transform=axes.transAxes, ha="right", color=MUTED, fontsize=6.5)
    _finish(axes, context)


def _estimate(context: Context, rank: int, modules: str) -> Any:
    source = source_of_cell(context, rank, MODULES[modules], True)
    rows = context.scored(source.runs, "us", context.last_point)
    if rows.empty:
        return None
    report = context.job.report
    rng = seeds.rng(context.job.seed, "report", source.runs[0].id, "us", context.last_point, *context.classes)
    return estimate(rows, context.classes, report.confidence, report.n_boot, rng)


def _seed_means(context: Context, rank: int, modules: str) -> list[float]:
    runs = source_of_cell(context, rank, MODULES[modules], True).runs
    means = []
    for run in runs:
        rows = context.scored([run], "us", context.last_point)
        if len(rows):
            means.append(macro_mean(gather(rows, context.classes)))
    return means


def _paper(axes: Axes, context: Context) -> None:
    axes.set_title("reported by the paper")
    for modules, (colour, marker) in LOOK.items():
        name = MODULES[modules]
        values = [reported_value("table5", rank=rank, tuned_modules=name) for rank in _ranks(context)]
        axes.plot(
            range(len(values)),
            values,
            color=colour,
            marker=marker,
            mfc="white",
            lw=1.0,
            ls="--",
            label=shown(MODULES[modules]),
        )
    _finish(axes, context)
    axes.text(
        0.98, 0.03, "no interval given", transform=axes.transAxes, ha="right", color=MUTED, fontsize=6.5
    )


def _collect(cells: Sequence[Any], name: str) -> np.ndarray:
    """One attribute of every estimate; NaN for a cell without scores."""
    return np.array([getattr(cell, name, np.nan) for cell in cells])


def _finish(axes: Axes, context: Context) -> None:
    ranks = _ranks(context)
    axes.set_xticks(range(len(ranks)), [str(rank) for rank in ranks])
    axes.set_xlim(-0.5, len(ranks) - 0.5)
    axes.set(xlabel="LoRA rank", ylabel=f"Dice after {context.last_point} clicks")
