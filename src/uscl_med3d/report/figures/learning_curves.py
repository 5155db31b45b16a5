"""Learning curves of every training: base models, VCL pretraining, fine-tunes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from uscl_med3d.report.figures.inputs import FigureInputs
from uscl_med3d.report.style import DASHES, MUTED, method_colours, new_figure, say

TITLE = "Learning curves"
CAPTION = (
    "Training loss (top) and the measure on validation patients (bottom) of every training in this run. "
    "Losses of different stages and of different base models have different units; the stages of a base model follow each "
    "other, each with a line of its own. Squares: Dice after the last click. Nothing here is a test result."
)

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666")
BASES = {"seggpt": "SegGPT"}
"""Base models whose method has another name."""
VALIDATION = ("validation_dice", "last_click_dice", "dice_two_prompts", "validation_accuracy")
LABELS = {
    "validation_dice": "Dice, validation",
    "last_click_dice": "Dice after the last click, validation",
    "dice_two_prompts": "Dice, held-out scenes",
    "validation_accuracy": "accuracy of the task",
}


def build(job: Any, inputs: FigureInputs) -> Figure:
    """One column per stage: foundation, pretraining, LoRA fine-tunes, other fine-tunes."""
    groups = group_curves(job, inputs.curves)
    if not groups:
        figure = new_figure(1.6)
        say(
            figure.subplots(),
            "no learning curve: nothing was trained in this run (official weights, or not yet)",
        )
        return figure
    figure = new_figure(5.2)
    axes = figure.subplots(2, len(groups), squeeze=False)
    for column, (title, curves) in enumerate(groups.items()):
        _column(axes[0, column], axes[1, column], title, curves, job)
    return figure


def group_curves(job: Any, paths: Sequence[Path]) -> dict[str, dict[str, pd.DataFrame]]:
    """Curves by column title and name; a file without rows is left out (a loaded checkpoint)."""
    groups: dict[str, dict[str, pd.DataFrame]] = {}
    for path in sorted(map(Path, paths), key=lambda path: _order(path.stem)):
        frame = pd.read_csv(path)
        if frame.empty or "step" not in frame or "loss" not in frame:
            continue
        if "learning_rate" in frame and frame["learning_rate"].isna().all():
            continue  # a fit without steps, as of the ball's radius
        groups.setdefault(_group(job, path), {})[path.stem] = join_stages(frame)
    return dict(sorted(groups.items(), key=lambda item: _GROUPS.index(item[0])))


def join_stages(frame: pd.DataFrame) -> pd.DataFrame:
    """A curve whose steps go on from stage to stage; each stage of a base model counts its own from 1."""
    if "stage" not in frame:
        return frame.assign(stage="")
    lengths = frame.groupby("stage", sort=False)["step"].max()
    before = lengths.cumsum().shift(fill_value=0)
    return frame.assign(step=frame["step"] + frame["stage"].map(before))


_GROUPS = ("base models", "pretraining", "LoRA fine-tunes", "other fine-tunes")


def _order(stem: str) -> tuple:
    digits = "".join(character if character.isdigit() else " " for character in stem).split()
    return (*map(int, digits[:1]), stem) if stem.startswith("r") else (0, stem)


def _group(job: Any, path: Path) -> str:
    stem = path.stem
    if path.parent.name == "foundation":
        return "base models"
    if path.parent.name == "pretrain":
        return "pretraining"
    sweeps = [name for name, entry in job.methods.items() if entry.grid is not None]
    return "LoRA fine-tunes" if stem.startswith(tuple(f"{name}_r" for name in sweeps)) else "other fine-tunes"


def _column(top: Axes, bottom: Axes, title: str, curves: dict[str, pd.DataFrame], job: Any) -> None:
    top.set_title(title)
    top.set_ylabel("training loss")
    measure = next((name for name in VALIDATION for frame in curves.values() if name in frame), None)
    # Repetitions with another training seed (`_s<seed>`) are drawn like the first, under one entry of the legend.
    first = {stem: re.sub(r"_s[0-9]+$", "", stem) for stem in curves}
    positions = {name: position for position, name in enumerate(dict.fromkeys(first.values()))}
    for stem, frame in curves.items():
        name = first[stem]
        position = positions[name]
        colour, dash, label = _look(name, position, job)
        if title == "base models":
            colour, label = PALETTE[position % len(PALETTE)], BASES.get(name, label)
        for _, part in frame[frame["loss"].notna()].groupby("stage", sort=False):
            top.plot(part["step"], part["loss"], color=colour, ls=dash, lw=1.0, label=label)
        for column in (name for name in VALIDATION if name in frame):
            kept, marker = frame[frame[column].notna()], "s" if column == "last_click_dice" else "o"
            bottom.plot(kept["step"], kept[column], color=colour, ls=dash, lw=1.0, marker=marker, ms=2)
    if measure is None:
        say(bottom, "no validation recorded")
    else:
        measures = [name for name in VALIDATION if any(name in frame for frame in curves.values())]
        bottom.set_ylabel(LABELS[measures[0]] if len(measures) == 1 else "Dice, validation", fontsize=7)
    bottom.set_xlabel("step")
    _chance(bottom, curves)
    handles, labels = top.get_legend_handles_labels()
    shown = dict(zip(labels, handles, strict=True))
    place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.24)}
    bottom.legend(shown.values(), shown.keys(), fontsize=6, handlelength=1.8, labelspacing=0.25, **place)
    if title == "base models":
        # Their losses differ by orders of magnitude: segmentation, masked images, distances of features.
        top.set_yscale("log")


def _chance(axes: Axes, curves: dict[str, pd.DataFrame]) -> None:
    found = [frame["validation_chance"].dropna() for frame in curves.values() if "validation_chance" in frame]
    if found and len(found[0]):
        level = found[0].iloc[-1]
        axes.axhline(level, color=MUTED, lw=0.8, ls=DASHES[2])
        place: dict[str, Any] = {
            "xy": (0.98, level),
            "xycoords": ("axes fraction", "data"),
            "ha": "right",
            "va": "bottom",
        }
        axes.annotate("chance", fontsize=6, color=MUTED, **place)


def _look(name: str, position: int, job: Any) -> tuple[str, Any, str]:
    """Colour, dash and legend entry: LoRA runs by tuned modules and rank, others one colour each."""
    parts = name.split("_")
    modules = next((part for part in ("encoder", "decoder", "both") if part in parts), None)
    ranks = [part for part in parts if part.startswith("r") and part[1:].isdigit()]
    if modules is None or not ranks:
        colours = method_colours({key: entry.label for key, entry in job.methods.items()})
        known = colours.get(name) if name != "sam_med3d" else None
        label = job.methods[name].label if name in job.methods else {"seggpt": "SegGPT"}.get(name, name)
        return known or PALETTE[position % len(PALETTE)], "-", label
    colour = {"encoder": "#0072B2", "decoder": "#D55E00", "both": "#009E73"}[modules]
    dash = DASHES[2] if "none" in parts else "-"
    label = {"encoder": "encoder", "decoder": "decoder", "both": "encoder + decoder"}[modules]
    return colour, dash, label + (", no VCL" if "none" in parts else "")
