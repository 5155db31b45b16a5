"""What scoring against pseudo-labels would hide: their own error, beside the models' scores on human references.

No score against a pseudo-label enters anything in this project, so the circular score of a model is not known. What
is known: a pseudo-label scored against itself has Dice 100, whatever it is worth. Its Dice against human or true
masks of the same sweeps is therefore the size of the error that a score against pseudo-labels cannot see.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from uscl_med3d.core import seeds
from uscl_med3d.report.figures.inputs import FigureInputs
from uscl_med3d.report.figures.pseudolabel_quality import read_quality
from uscl_med3d.report.scores import explain_missing, read_scores
from uscl_med3d.report.statistics import Estimate, estimate
from uscl_med3d.report.style import INK, MUTED, class_title, new_figure, say, share_legend
from uscl_med3d.report.tables.context import Context

TITLE = "What scores against pseudo-labels would hide"
CAPTION = (
    "Left: the pseudo-labels of the training sweeps, before the gate. Against themselves they have Dice 100 "
    "by definition; against held-out human key frames and complete masks of the same sweeps they have less. The number "
    "is the gap to the complete masks: the error that a score against pseudo-labels cannot see. Right: models after "
    "the last click on test sweeps, which have human references only, and the pseudo-labels' mean again as a bar: "
    "a model below the bar is worse than its teacher, on other sweeps. No model is scored against pseudo-labels here, "
    "so its own gap is not known. Bars are 95 % intervals over patients."
)

REFERENCES = {
    "true_mask": ("complete masks", "#0072B2", "o"),
    "held_out": ("held-out key frames", "#E69F00", "s"),
}
"""Kind of reference: words, colour, marker."""

_LOOK = {"capsize": 2, "ls": "none", "ms": 4.5, "lw": 1.1}


def build(job: Any, inputs: FigureInputs) -> Figure:
    """The pseudo-labels' panel, and one panel for each of the main models."""
    context = Context.of(job, read_scores(inputs.scores))
    quality = read_quality(inputs.pseudolabels_dir)
    labels = judge_labels(context, quality)
    models = shown_methods(context)
    figure = new_figure(3.3)
    panels = figure.subplots(1, 1 + max(len(models), 1), sharey=True, squeeze=False)[0]
    _labels_panel(panels[0], context, labels)
    rows = context.scores[context.scores["dataset"] == "us"]
    for panel, (label, name) in zip(panels[1:], models, strict=False):
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
    share_legend(figure, panels, columns=2)
    return figure


def shown_methods(context: Context) -> list[tuple[str, str]]:
    """(label, registry key) of the paper's model and of full tuning, as far as the registry has them."""
    found = [(label, context.method_with_label(label)) for label in ("USCL-Med3D", "full tuning")]
    return [(label, name) for label, name in found if name is not None]


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
            x = np.array([x for x, _ in found]) + shift
            mean, low, high = (
                np.array([getattr(one, part) for _, one in found]) for part in ("mean", "low", "high")
            )
            axes.errorbar(x, mean, yerr=[mean - low, high - mean], color=colour, marker=marker,
                          label=f"against {words}", **_LOOK)  # fmt: skip
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
