"""Do the models look at the image? Dice with the own image beside Dice with another patient's, of every method."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from uscl_med3d.report.figures.inputs import FigureInputs
from uscl_med3d.report.style import INK, MUTED, OURS, class_title, new_figure, say, share_legend
from uscl_med3d.report.tables.context import IMAGE_USE_DATASETS
from uscl_med3d.report.words import signed

TITLE = "Image use: own image against another patient's"
CAPTION = (
    "Mean Dice over classes after the fewest (small marks) and the most clicks measured (large marks): filled with the "
    "image that belongs to the clicks, hollow with another patient's image and the same clicks (SegGPT: the same key "
    "frames). The line between them "
    "is what the model gains by looking; at its right the gain after the most clicks. Where marks coincide, the model "
    "draws a shape round the clicks."
)


def build(job: Any, inputs: FigureInputs) -> Figure:
    """One panel per data set, one line of the panel per method."""
    frame = pd.DataFrame() if inputs.image_use is None else pd.read_csv(inputs.image_use)
    if frame.empty:
        figure = new_figure(1.6)
        say(figure.subplots(), "not measured: no model was scored with another patient's image", 60)
        return figure
    labels = list(dict.fromkeys(frame["method"]))
    figure = new_figure(1.5 + 0.26 * len(labels))
    sets = list(IMAGE_USE_DATASETS.values())
    if job.benchmark is False:
        sets = [name for name in sets if (frame["dataset"] == name).any()]
    panels = figure.subplots(1, len(sets), sharex=True, sharey=True, squeeze=False)[0]
    for panel, dataset in zip(panels, sets, strict=True):
        _panel(panel, frame[frame["dataset"] == dataset], dataset, labels)
    panels[0].set_yticks(range(len(labels)), [class_title(label) for label in labels])
    panels[0].set_ylim(len(labels) - 0.4, -0.6)
    panels[0].set_xlim(0, 118)
    panels[0].set_xticks([0, 25, 50, 75, 100])
    for panel in panels:
        panel.set_xlabel("Dice")
    share_legend(figure, panels, columns=2)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, title: str, labels: list[str]) -> None:
    axes.set_title(title)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    if rows.empty:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=MUTED, fontsize=7)
        return
    points = sorted(rows.loc[rows["points"] > 0, "points"].unique()) or [0]
    for shift, size, click in ((-0.16, 2.6, points[0]), (0.14, 5.0, points[-1]))[len(points) == 1 :]:
        # A method that is prompted with key frames has no clicks; its one value stands with the largest marks.
        shown = rows["points"].isin((0, click) if click == points[-1] else (click,))
        part = rows[shown].assign(place=lambda one: one["method"].map(labels.index))
        y, noun = part["place"] + shift, "click" if click == 1 else "clicks"
        axes.hlines(y, part["dice_other"], part["dice_own"], color=OURS, lw=1.0, zorder=2)
        axes.plot(part["dice_own"], y, "o", color=OURS, ms=size, zorder=3, label=f"own image, {click} {noun}")
        axes.plot(
            part["dice_other"],
            y,
            "o",
            color=OURS,
            mfc="white",
            ms=size,
            zorder=3,
            label=f"another patient's image, {click} {noun}",
        )
    for row in rows[rows["points"].isin((0, points[-1]))].to_dict("records"):
        text, place = signed(row["difference"], 0), labels.index(row["method"])
        axes.text(117, place, text.replace("-", "−"), ha="right", va="center", fontsize=6.5, color=INK)
