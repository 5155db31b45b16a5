"""Figure 6: one case per class: frame, reference, SAM-Med3D and USCL-Med3D with their errors and clicks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from uscl_med3d.core.io import load_volume
from uscl_med3d.report.figures.images import outline, show_frame
from uscl_med3d.report.figures.inputs import UNLABELLED, FigureInputs, Sweep, load_sweep
from uscl_med3d.report.scores import read_scores
from uscl_med3d.report.style import EXTRA, MISSED, class_title, halo, new_figure, say
from uscl_med3d.report.tables.context import Context

TITLE = "Figure 6. Qualitative comparison, one case per class"
CAPTION = (
    "The first test case of each class (by patient, not by score), on the frame with the largest reference "
    "area, after the last click. Orange: missed; blue: outside the reference. Clicks of all frames are "
    "projected onto the frame shown, faint if more than two frames away. Single cases: they illustrate, they "
    "prove nothing."
)

NEAR_FRAMES = 2


@dataclass(frozen=True)
class Case:
    """One case of one class: sweep, reference mask, known voxels, frame to show."""

    sweep: Sweep
    truth: np.ndarray
    known: np.ndarray
    frame: int


def build(job: Any, inputs: FigureInputs) -> Figure:
    """One column per class; rows: frame, reference, base model, paper's model."""
    context = Context.of(job, read_scores(inputs.scores))
    runs = shown_runs(context)
    folders = {Path(folder).name: Path(folder) for folder in inputs.predictions}
    figure = new_figure(1.35 * (2 + len(runs)) + 0.35)
    axes = figure.subplots(2 + len(runs), len(job.classes), squeeze=False)
    for column, name in enumerate(job.classes):
        axes[0, column].set_title(class_title(name))
        case = _find_case(job, inputs, folders, name, [run for _, run in runs])
        if case is None:
            for row in range(axes.shape[0]):
                say(axes[row, column], f"no kept prediction of {class_title(name)}" if row == 1 else "", 18)
            continue
        _column(axes[:, column], context, case, name, runs, folders)
    for row, text in enumerate(("frame", "reference", *(label for label, _ in runs))):
        axes[row, 0].set_ylabel(text, fontsize=8)
    _legend(figure)
    return figure


def shown_runs(context: Context) -> list[tuple[str, str]]:
    """(label, run id) of the base model and of the paper's model, as far as the registry has them."""
    found = []
    for label in ("SAM-Med3D", "USCL-Med3D"):
        name = context.method_with_label(label)
        if name is not None:
            found.append((label, context.main_runs(name)[0].id))
    return found


def _find_case(
    job: Any, inputs: FigureInputs, folders: dict[str, Path], name: str, runs: Sequence[str]
) -> Case | None:
    """The first case of a class that every shown run kept a mask of."""
    kept = [{path.name for path in folders[run].glob(f"*_{name}.nii.gz")} for run in runs if run in folders]
    if not kept:
        return None
    for file in sorted(set.intersection(*kept)):
        sweep = load_sweep(inputs, file.removesuffix(f"_{name}.nii.gz"))
        if sweep is not None:
            labels = sweep.reference()
            labels = sweep.key_frames if labels is None else labels
            truth, known = labels == job.classes[name], labels != UNLABELLED
            return Case(sweep, truth, known, int(truth.sum((1, 2)).argmax()))
    return None


def _column(
    axes: Sequence[Axes], context: Context, case: Case, name: str, runs: list[tuple[str, str]], folders: dict
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
        _errors(panel, case, predicted[case.frame])
        outline(panel, predicted[case.frame], "white", 0.9)
        _clicks(panel, case, _history(context, run, case.sweep.name, name))
        panel.set_xlabel(_dice_text(context, run, case.sweep.name, name), fontsize=6.5, labelpad=1)


def _errors(axes: Axes, case: Case, predicted: np.ndarray) -> None:
    truth, known = case.truth[case.frame], case.known[case.frame]
    layer = np.zeros((*truth.shape, 4))
    layer[truth & ~predicted & known] = (*to_rgb(MISSED), 0.65)
    layer[predicted & ~truth & known] = (*to_rgb(EXTRA), 0.65)
    axes.imshow(layer, aspect=case.sweep.aspect)


def _history(context: Context, run: str, case: str, name: str) -> pd.DataFrame:
    """Rows of the first way of clicking, one per click, of one case and class."""
    scores, evaluate = context.scores, context.job.evaluate
    rows = scores[(scores["run"] == run) & (scores["case"] == case) & (scores["class"] == name)]
    rows = rows[rows["click_seed"] == evaluate.click_seeds[0]]
    return rows.sort_values("click").drop_duplicates("click")


def _clicks(axes: Axes, case: Case, history: pd.DataFrame) -> None:
    if "click_d" not in history:
        return
    for row in history[history["click_d"].notna()].itertuples():
        near = abs(row.click_d - case.frame) <= NEAR_FRAMES
        marker, colour = ("+", "#F0E442") if row.click_label == 1 else ("x", "#CC79A7")
        size, width, alpha = (5, 1.3, 1.0) if near else (3.5, 0.8, 0.6)
        axes.plot(
            row.click_w, row.click_h, marker, color=colour, ms=size, mew=width, alpha=alpha,
            path_effects=halo("black", width + 0.9),
        )  # fmt: skip


def _dice_text(context: Context, run: str, case: str, name: str) -> str:
    runs = [one for one in context.runs if one.id == run]
    rows = context.scored(runs, "us", context.last_point)
    rows = rows[(rows["case"] == case) & (rows["class"] == name)]
    return f"volume Dice {rows['dice'].iloc[0]:.0f}" if len(rows) else "not scored"


def _legend(figure: Figure) -> None:
    inside = {"color": "#F0E442", "marker": "+", "label": "click inside"}
    outside = {"color": "#CC79A7", "marker": "x", "label": "click outside"}
    handles = [
        Patch(color=MISSED, alpha=0.65, label="missed"),
        Patch(color=EXTRA, alpha=0.65, label="outside the reference"),
        Line2D([], [], color="white", lw=1.2, label="prediction", path_effects=halo("black", 2.4)),
        *(Line2D([], [], ls="none", mew=1.5, path_effects=halo(), **look) for look in (inside, outside)),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
