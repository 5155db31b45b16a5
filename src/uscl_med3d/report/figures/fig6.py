"""Figure 6: one case per class: frame, reference, SAM-Med3D and USCL-Med3D with their errors and clicks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

TITLE = "Figure 6. Qualitative comparison, one case per class"
CAPTION = (
    "The first test case of each class (by patient, not by score), on the frame with the largest reference "
    "area, after the last click. Orange: missed; blue: outside the reference. Clicks of all frames are "
    "projected onto the frame shown, faint if more than two frames away. Single cases: they illustrate, they "
    "prove nothing."
)


def build(job: Any, inputs: FigureInputs) -> Figure:
    """One column per class; rows: frame, reference, base model, paper's model."""
    context = Context.of(job, read_scores(inputs.scores))
    runs = shown_runs(context)
    folders = {Path(folder).name: Path(folder) for folder in inputs.predictions}
    figure = new_figure(1.35 * (2 + len(runs)) + 0.35)
    axes = figure.subplots(2 + len(runs), len(context.shown_classes), squeeze=False)
    for column, name in enumerate(context.shown_classes):
        axes[0, column].set_title(class_title(name))
        case = find_case(inputs, [folders[run] for _, run in runs if run in folders], name, job.classes[name])
        if case is None:
            for row in range(axes.shape[0]):
                say(axes[row, column], f"no kept prediction of {class_title(name)}" if row == 1 else "", 18)
            continue
        _column(axes[:, column], context, case, name, runs, folders)
    for row, text in enumerate(("frame", "reference", *(label for label, _ in runs))):
        axes[row, 0].set_ylabel(text, fontsize=8)
    draw_legend(figure)
    return figure


def needed(classes: Mapping[str, int], limit: int, inputs: FigureInputs) -> Needed:
    """One frame of one case of each class."""
    for name, value in classes.items():
        case = find_case(inputs, list(map(Path, inputs.predictions)), name, value)
        if case is not None:
            yield case.sweep.name, [case.frame]


def find_case(inputs: FigureInputs, folders: Sequence[Path], name: str, value: int) -> Case | None:
    """The first case of a class that every run kept a mask of."""
    kept = [{path.name for path in folder.glob(f"*_{name}.nii.gz")} for folder in folders]
    if not kept:
        return None
    for file in sorted(set.intersection(*kept)):
        case = load_case(inputs, file.removesuffix(f"_{name}.nii.gz"), value)
        if case is not None:
            return case
    return None


def _column(
    axes: np.ndarray, context: Context, case: Case, name: str, runs: list[tuple[str, str]], folders: dict
) -> None:
    colour = context.job.figures.colours[name]
    for panel in axes:
        show_frame(panel, case.sweep.image[case.frame], case.sweep.aspect)
    axes[0].set_xlabel(f"{case.sweep.name}, frame {case.frame}", fontsize=5.5, labelpad=1)
    outline(axes[1], case.truth[case.frame], colour, 1.5)
    for panel, (_, run) in zip(axes[2:], runs, strict=True):
        path = folders.get(run, Path()) / f"{case.sweep.name}_{name}.nii.gz"
        if not path.is_file():
            say(panel, f"no kept prediction of {run}", 18)
            continue
        predicted = load_volume(path)[0].astype(bool)
        draw_errors(panel, case, predicted[case.frame])
        outline(panel, predicted[case.frame], "white", 0.9)
        draw_clicks(panel, case, click_history(context, run, case.sweep.name, name))
        panel.set_xlabel(_dice_text(context, run, case.sweep.name, name), fontsize=6.5, labelpad=1)


def _dice_text(context: Context, run: str, case: str, name: str) -> str:
    runs = [one for one in context.runs if one.id == run]
    rows = context.scored(runs, "us", context.last_point)
    rows = rows[(rows["case"] == case) & (rows["class"] == name)]
    return f"volume Dice {rows['dice'].iloc[0]:.0f}" if len(rows) else "not scored"
