"""The radar figure of S5, from the landed tables: what each foundation model costs, and its Dice on both scanners."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from uscl_med3d.report.style import (
    DASHES,
    INK,
    MARKERS,
    METHOD_COLOURS,
    MUTED,
    OURS,
    halo,
    new_figure,
    save,
    share_legend,
    styled,
)

NAME = "s5_radar"
OUR_ROW, ALL = "SAMUS", "all"
CONTROL = "disc at the click"
SCANNERS = {"seen_dice": "seen", "unseen_dice": "unseen"}
_DPI = 150
_HEIGHT_IN = 5.0


class Axis(NamedTuple):
    """A spoke of the figure: what it is called, how its best value is written, and whether more is better."""

    title: str
    form: str
    more: bool


AXES = {
    "seen_dice": Axis("Dice, seen scanner", "{:.1f} %", True),
    "unseen_dice": Axis("Dice, unseen scanner", "{:.1f} %", True),
    "frames_per_second": Axis("images per second\n(measured)", "{:.0f}", True),
    "parameters": Axis("parameters", "{:,.0f}", False),
    "gflop": Axis("GFLOP per image", "{:.2f}", False),
    "training_mb": Axis("training memory", "{:.1f} MB", False),
}


def draw(s5: Path, s2: Path, speed: Path, out: Path) -> None:
    """Write s5_radar.png and .pdf into `out`.

    Args:
        s5: table S5. s2: table S2, for the control. speed: images per second, as `deploy.run_deploy` measured them.
    """
    costs = pd.read_csv(s5).merge(pd.read_csv(speed), on="method", how="left")
    with styled():
        save(build(costs.set_index("method"), pd.read_csv(s2)), out, NAME, _DPI)


def shares(values: pd.Series, more: bool) -> pd.Series:
    """Each value as a share of the best one, 0..1: value / largest, or smallest / value where less is better."""
    return values / values.max() if more else values.min() / values


def build(costs: pd.DataFrame, foundation: pd.DataFrame) -> Figure:
    """One line per method; the rim is the best method of each spoke. What a method lacks breaks its line."""
    numbers = costs[list(AXES)].apply(pd.to_numeric, errors="coerce")  # "–": not trained
    drawn = numbers.apply(lambda column: shares(column, AXES[str(column.name)].more))
    angles = 2 * np.pi * np.arange(len(AXES)) / len(AXES)
    figure = new_figure(_HEIGHT_IN)
    axes = figure.add_subplot(projection="polar")
    axes.set_theta_offset(np.pi / 2)  # type: ignore[attr-defined]
    axes.set_theta_direction(-1)  # type: ignore[attr-defined]
    axes.spines["polar"].set_color(MUTED)
    for place, (name, row) in enumerate(drawn.iterrows()):
        around = [*row, row.iloc[0]]
        look = {"color": OURS, "lw": 2.0} if name == OUR_ROW else {"color": METHOD_COLOURS[place]}
        axes.plot(
            [*angles, angles[0]], around, marker=MARKERS[place], ls=DASHES[place], label=str(name), **look
        )
    for angle, (column, scanner) in zip(angles, SCANNERS.items(), strict=False):
        blind = foundation[(foundation["method"] == CONTROL) & (foundation["set"] == ALL)]
        value = float(blind[f"{scanner}_dice"].iloc[0]) / numbers[column].max()
        label = CONTROL if scanner == "seen" else None
        axes.plot([angle], [value], marker="x", ms=8, mew=1.6, ls="none", color=INK, label=label)
    titles = [
        f"{axis.title}\nbest {axis.form.format(numbers[name].max() if axis.more else numbers[name].min())}"
        for name, axis in AXES.items()
    ]
    for angle, title in zip(angles, titles, strict=True):
        side = round(float(np.sin(angle)), 3)
        beside = "center" if side == 0 else "left" if side > 0 else "right"
        above = "bottom" if angle == 0 else "top" if side == 0 else "center"
        axes.text(angle, 1.08, title, ha=beside, va=above)
    axes.set_xticks(angles, [""] * len(angles))
    axes.set_ylim(0, 1.03)
    axes.set_yticks([0.25, 0.5, 0.75, 1.0], ["", "half as good", "", "best"], color=MUTED)
    for ring in axes.get_yticklabels():
        ring.set_path_effects(halo("white", 3.0))
        ring.set(ha="center", va="center", fontsize=6.5)
    axes.set_rlabel_position(222)  # type: ignore[attr-defined]
    share_legend(figure, [axes], columns=6)
    return figure
