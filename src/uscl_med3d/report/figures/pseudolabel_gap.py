"""What scoring against pseudo-labels hides: their own error, and how much of it the models have learned.

No score against a pseudo-label enters any table or claim. Above: a pseudo-label scored against itself has Dice 100,
whatever it is worth, so its Dice against human or true masks is the size of the error that a score against
pseudo-labels cannot see. Below: the same predictions on validation sweeps against the pseudo-label and against the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from uscl_med3d.core import seeds
from uscl_med3d.core.params.methods import Run
from uscl_med3d.report.comparison import Gap, judge_gap
from uscl_med3d.report.figures.inputs import FigureInputs
from uscl_med3d.report.figures.pseudolabel_quality import read_quality
from uscl_med3d.report.scores import explain_missing, read_scores
from uscl_med3d.report.statistics import Estimate, estimate
from uscl_med3d.report.style import INK, MUTED, class_title, new_figure, say, share_legend, wrap
from uscl_med3d.report.tables.context import Context
from uscl_med3d.report.words import count, signed

TITLE = "What scores against pseudo-labels would hide"
CAPTION = (
    "Above, left: the pseudo-labels of the training sweeps, before the gate. Against themselves they have Dice 100 "
    "by definition; against held-out human key frames and complete masks of the same sweeps they have less. The number "
    "is the gap to the complete masks: the error that a score against pseudo-labels cannot see. Right of it: models "
    "after the last click on test sweeps, which have human references only, and the pseudo-labels' mean again as a bar: "
    "a model below the bar is worse than its teacher, on other sweeps. Below: each trained method and the base model on "
    "validation sweeps, the same predictions on the same accepted frames against the pseudo-labels and against the true "
    "masks, mean over classes; the number is the first minus the second. A positive one means that scores against "
    "pseudo-labels flatter the model: it makes errors that they make. The base model never saw a pseudo-label. "
    "Bars and brackets are intervals over patients, of which validation has few."
)

REFERENCES = {
    "true_mask": ("complete masks", "#0072B2", "o"),
    "held_out": ("held-out key frames", "#E69F00", "s"),
}
"""Kind of reference: words, colour, marker."""

_LOOK: dict[str, Any] = {"capsize": 2, "ls": "none", "ms": 4.5, "lw": 1.1}


def build(job: Any, inputs: FigureInputs) -> Figure:
    """Above, the pseudo-labels' panel and one panel for each of the main models; below, every method's own gap."""
    scores = read_scores(inputs.scores)
    context = Context.of(job, scores)
    labels = judge_labels(context, read_quality(inputs.pseudolabels_dir))
    models = shown_methods(context)
    figure = new_figure(5.6)
    columns = 1 + max(len(models), 1)
    grid = figure.add_gridspec(2, columns, height_ratios=[3, 2])
    first = figure.add_subplot(grid[0, 0])
    panels = [first, *(figure.add_subplot(grid[0, n], sharey=first) for n in range(1, columns))]
    _labels_panel(panels[0], context, labels)
    rows = context.scores[context.scores["dataset"] == "us"]
    for panel, (label, name) in zip(panels[1:], models, strict=False):
        panel.tick_params(labelleft=False)
        panel.set_title(f"{label}, test sweeps")
        made = judge_model(context, name)
        if made:
            _points(panel, context, made)
            _teacher(panel, context, labels)
        else:
            say(panel, explain_missing(rows), 28)
    if not models:
        say(panels[1], "no method that learns from pseudo-labels", 28)
    panels[0].set_ylabel("Dice")
    below = figure.add_subplot(grid[1, :])
    _gaps_panel(
        below, {label: judge_gap(job, scores, *of) for label, of in compared_methods(context).items()}
    )
    share_legend(figure, [*panels, below], columns=2)
    return figure


def compared_methods(context: Context) -> dict[str, tuple[list[Run], int]]:
    """Runs and clicks of the methods trained on pseudo-labels and of the base models they start from, by label."""
    methods = context.job.methods
    trained = {name: entry for name, entry in methods.items() if entry.trained}
    started_from = {entry.base for entry in trained.values()}
    base = {name: entry for name, entry in methods.items() if name in started_from and not entry.trained}
    return {
        entry.label: (
            context.main_runs(name),
            context.last_point if entry.prompt == "clicks" else 0,
        )
        for name, entry in (base | trained).items()
    }


def shown_methods(context: Context) -> list[tuple[str, str]]:
    """(label, registry key) of the paper's model and of full tuning, as far as the registry has them."""
    methods = context.job.methods
    return [(methods[name].label, name) for name in ("uscl_med3d", "full_tuning") if name in methods]


def judge_labels(context: Context, quality: pd.DataFrame) -> dict[tuple[str, str], Estimate]:
    """(reference, class) -> mean Dice of SegGPT's proposals on training sweeps with interval; empty without any."""
    rows = quality[(quality["method"] == "seggpt") & (quality["split"] == "train") & quality["dice"].notna()]
    rows = rows.assign(
        training_seed=0,
        case=rows["sweep"].astype(str) + ":" + rows["frame"].astype(str),
        kind=rows["reference"].replace("held_out_key_frame", "held_out"),
    )
    return _judge(context, {kind: rows[rows["kind"] == kind] for kind in REFERENCES}, "labels")


def judge_model(context: Context, name: str) -> dict[tuple[str, str], Estimate]:
    """(reference, class) -> mean Dice of a method's main runs on test sweeps with interval."""
    runs, click = context.main_runs(name), context.last_point
    kinds = {"true_mask": "true_mask", "held_out": "held_out_key_frames"}
    return _judge(
        context, {kind: context.scored(runs, "us", click, ref) for kind, ref in kinds.items()}, name
    )


def _judge(context: Context, rows: dict[str, pd.DataFrame], stream: str) -> dict[tuple[str, str], Estimate]:
    report, made = context.job.report, {}
    for kind, part in rows.items():
        for name in context.classes:
            if (part["class"] == name).any():
                rng = seeds.rng(context.job.seed, "report", "pseudolabel_gap", stream, kind, name)
                made[kind, name] = estimate(part, [name], report.confidence, report.n_boot, rng)
    return made


def _labels_panel(axes: Axes, context: Context, labels: dict[tuple[str, str], Estimate]) -> None:
    axes.set_title("pseudo-labels, training sweeps")
    if not labels:
        say(axes, "not scored: this cohort has no masks to score pseudo-labels against", 28)
        return
    positions = np.arange(len(context.classes))
    axes.plot(
        positions, [100] * len(positions), "D", color=INK, mfc="white", ms=4.5, label="against themselves"
    )
    for x, name in enumerate(context.classes):
        truth = labels.get(("true_mask", name))
        if truth is not None:
            axes.plot([x - 0.13] * 2, [truth.mean, 100], color=MUTED, lw=0.8, zorder=1)
            text = f"{100 - truth.mean:.0f}"
            axes.text(x - 0.2, (100 + truth.mean) / 2, text, ha="right", va="center", fontsize=6.5)
    _points(axes, context, labels)


def _points(axes: Axes, context: Context, made: dict[tuple[str, str], Estimate]) -> None:
    for shift, (kind, (words, colour, marker)) in zip((-0.13, 0.13), REFERENCES.items(), strict=True):
        found = [(x, made[kind, name]) for x, name in enumerate(context.classes) if (kind, name) in made]
        if found:
            x, values = [x + shift for x, _ in found], [one for _, one in found]
            _bars(axes, x, values, f"against {words}", colour, marker)
    _finish(axes, context.classes)


def _teacher(axes: Axes, context: Context, labels: dict[tuple[str, str], Estimate]) -> None:
    """The pseudo-labels' own mean against complete masks, as a bar at every class."""
    kind = "true_mask" if any(kind == "true_mask" for kind, _ in labels) else "held_out"
    found = [(x, labels[kind, name].mean) for x, name in enumerate(context.classes) if (kind, name) in labels]
    for number, (x, mean) in enumerate(found):
        label = f"pseudo-labels against {REFERENCES[kind][0]} (left)" if number == 0 else None
        axes.plot([x - 0.38, x + 0.38], [mean] * 2, color=INK, lw=1.1, label=label, zorder=1)


def _finish(axes: Axes, classes: Sequence[str]) -> None:
    axes.set_xticks(
        range(len(classes)), [class_title(name).replace(" ", "\n") for name in classes], fontsize=6.5
    )
    axes.set_xlim(-0.6, len(classes) - 0.4)
    axes.set_ylim(0, 105)


def _gaps_panel(axes: Axes, gaps: dict[str, Gap]) -> None:
    axes.set_title("validation sweeps, accepted frames only: the same predictions against both")
    found = {label: gap for label, gap in gaps.items() if gap.difference is not None}
    if not found:
        say(axes, "; ".join(dict.fromkeys(gap.reason for gap in gaps.values())) or "no trained method", 90)
        return
    kinds = (
        ("pseudo_label", "pseudo-labels", INK, "D"),
        ("truth", "complete masks, same frames", "#009E73", "^"),
    )
    for shift, (name, words, colour, marker) in zip((-0.1, 0.1), kinds, strict=True):
        x = [number + shift for number, label in enumerate(gaps) if label in found]
        _bars(axes, x, [getattr(gap, name) for gap in found.values()], f"against {words}", colour, marker)
    for number, gap in enumerate(gaps.values()):
        axes.text(number + 0.2, 4, _describe(gap), fontsize=6.5, va="bottom", ha="left", color=INK)
    axes.set_xticks(range(len(gaps)), list(gaps))
    axes.set_xlim(-0.5, len(gaps) - 0.2)
    axes.set_ylim(0, 105)
    axes.set_ylabel("Dice")


def _describe(gap: Gap) -> str:
    if gap.difference is None:
        return wrap(f"– {gap.reason}", 16)
    one = gap.difference
    interval = "" if np.isnan(one.low) else f"\n[{signed(one.low, 1)}, {signed(one.high, 1)}]"
    return f"{signed(one.mean, 1)}{interval}\n{count(one.n_patients, 'patient')}"


def _bars(
    axes: Axes, x: Sequence[float], values: Sequence[Estimate], label: str, colour: str, marker: str
) -> None:
    mean, low, high = (np.array([getattr(one, part) for one in values]) for part in ("mean", "low", "high"))
    axes.errorbar(x, mean, yerr=[mean - low, high - mean], color=colour, marker=marker, label=label, **_LOOK)
