"""Failure gallery: the test case with the lowest Dice of every class, for the base model and the paper's model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from uscl_med3d.core.io import load_volume
from uscl_med3d.report.figures.errors import (
    Case,
    click_history,
    draw_clicks,
    draw_errors,
    draw_legend,
    load_case,
    shown_runs,
)
from uscl_med3d.report.figures.images import outline, show_frame
from uscl_med3d.report.figures.inputs import FigureInputs, Needed
from uscl_med3d.report.scores import read_scores
from uscl_med3d.report.style import class_title, new_figure, say
from uscl_med3d.report.tables.context import Context

TITLE = "Failure gallery: the worst test case of each class"
CAPTION = (
    "For each model its own worst case of every class: the lowest Dice after the last click, found by the scores of "
    "all test cases. The frame with most wrong voxels is shown, plain with the reference and then with the prediction. "
    "Orange: missed; blue: outside the reference. Clicks of all frames are projected onto the frame shown, faint if "
    "more than two frames away. The two models fail on different cases, so columns do not compare them."
)

FOLDER = "worst"
"""Folder within a run's predictions."""


def build(job: Any, inputs: FigureInputs) -> Figure:
    """One column per class; for every model one row with the reference and one with the prediction."""
    context = Context.of(job, read_scores(inputs.scores))
    runs = shown_runs(context)
    folders = {Path(folder).name: Path(folder) / FOLDER for folder in inputs.predictions}
    figure = new_figure(1.42 * 2 * len(runs) + 0.4)
    axes = figure.subplots(2 * len(runs), len(context.shown_classes), squeeze=False)
    for column, name in enumerate(context.shown_classes):
        axes[0, column].set_title(class_title(name))
        for number, (_, run) in enumerate(runs):
            pair = axes[2 * number : 2 * number + 2, column]
            _pair(pair, job, inputs, context, folders.get(run), run, name)
    for number, (label, _) in enumerate(runs):
        axes[2 * number, 0].set_ylabel(f"{label}:\nreference", fontsize=8)
        axes[2 * number + 1, 0].set_ylabel("prediction", fontsize=8)
    draw_legend(figure)
    return figure


def needed(classes: Mapping[str, int], limit: int, inputs: FigureInputs) -> Needed:
    """One frame of the worst case of each class and run."""
    for folder in inputs.predictions:
        for name, value in classes.items():
            found = _find_worst(inputs, Path(folder) / FOLDER, name, value)
            if found is not None:
                yield found[0].sweep.name, [found[0].frame]


def _find_worst(
    inputs: FigureInputs, folder: Path | None, name: str, value: int
) -> tuple[Case, np.ndarray] | None:
    """The kept worst case of a class on its worst frame, and the prediction (d, h, w)."""
    found = sorted(folder.glob(f"*_{name}.nii.gz")) if folder is not None else []
    case = load_case(inputs, found[0].name.removesuffix(f"_{name}.nii.gz"), value) if found else None
    if case is None:
        return None
    predicted = load_volume(found[0])[0].astype(bool)
    return replace(case, frame=worst_frame(case, predicted)), predicted


def _pair(
    axes: np.ndarray,
    job: Any,
    inputs: FigureInputs,
    context: Context,
    folder: Path | None,
    run: str,
    name: str,
) -> None:
    found = _find_worst(inputs, folder, name, job.classes[name])
    if found is None:
        say(axes[0], f"no kept worst case of {class_title(name)}", 18)
        say(axes[1], "")
        return
    case, predicted = found
    sweep = case.sweep.name
    history = click_history(context, run, sweep, name)
    history = history[history["click"] <= context.last_point]
    for panel in axes:
        show_frame(panel, case.sweep.image[case.frame], case.sweep.aspect)
    outline(axes[0], case.truth[case.frame], job.figures.colours[name], 1.5)
    axes[0].set_xlabel(f"{sweep}, frame {case.frame}", fontsize=5.5, labelpad=1)
    draw_errors(axes[1], case, predicted[case.frame])
    outline(axes[1], predicted[case.frame], "white", 0.9)
    draw_clicks(axes[1], case, history)
    scored = history[history["dice"].notna()]
    last = scored.iloc[-1] if len(scored) else None
    text = "not scored" if last is None else f"volume Dice {last['dice']:.0f}, {last['click']} clicks"
    axes[1].set_xlabel(text, fontsize=6.5, labelpad=1)


def worst_frame(case: Case, predicted: np.ndarray) -> int:
    """The frame with the most wrong voxels among those that are known."""
    return int(((case.truth != predicted) & case.known).sum((1, 2)).argmax())
