"""How good the pseudo-labels are: SegGPT beside the two trivial alternatives, per class and reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from uscl_med3d.core import seeds
from uscl_med3d.report.figures.inputs import FigureInputs
from uscl_med3d.report.style import INK, class_title, new_figure, say, share_legend

TITLE = "Quality of the pseudo-labels"
CAPTION = (
    "Dice of the proposals against human or true masks, before the gate; each dot is one sweep and frame (or "
    "volume), bars are means. SegGPT must beat two alternatives that need no model: copying the nearest key "
    "frame, and interpolating shapes between key frames."
)

METHODS = {
    "seggpt": ("SegGPT", "#0072B2"),
    "nearest_key_frame": ("nearest key frame", "#E69F00"),
    "shape_interpolation": ("shape interpolation", "#009E73"),
}
REFERENCES = {
    "held_out_key_frame": "against held-out human key frames",
    "true_mask": "against the complete reference masks",
}


def read_quality(folder: Path | None) -> pd.DataFrame:
    """The table `quality.csv` beside the pseudo-labels; empty where there is none."""
    path = None if folder is None else Path(folder) / "quality.csv"
    if path is None or not path.is_file():
        return pd.DataFrame(
            columns=["sweep", "patient", "split", "class", "frame", "method", "reference", "dice"]
        )
    return pd.read_csv(path, dtype={"sweep": str, "patient": str})


def build(job: Any, inputs: FigureInputs) -> Figure:
    """One panel per reference."""
    quality = read_quality(inputs.pseudolabels_dir)
    figure = new_figure(2.9)
    panels = figure.subplots(1, len(REFERENCES), sharey=True)
    for panel, (reference, title) in zip(panels, REFERENCES.items(), strict=True):
        panel.set_title(title)
        rows = quality[(quality["reference"] == reference) & quality["dice"].notna()]
        if rows.empty:
            lacking = "held-out key frames" if "held" in reference else "complete reference masks"
            say(panel, f"not scored: this cohort has no {lacking}")
        else:
            _panel(panel, rows, job)
    panels[0].set_ylabel("Dice")
    share_legend(figure, panels, markerscale=3)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, job: Any) -> None:
    classes = [name for name in job.classes if (rows["class"] == name).any()]
    for position, name in enumerate(classes):
        for step, (method, (label, colour)) in enumerate(METHODS.items()):
            values = rows.loc[(rows["class"] == name) & (rows["method"] == method), "dice"].to_numpy()
            if not len(values):
                continue
            x = position + (step - 1) * 0.27
            jitter = seeds.rng(job.seed, "report", "jitter", name, method).uniform(-0.08, 0.08, len(values))
            axes.plot(
                x + jitter,
                values,
                ".",
                color=colour,
                ms=2.2,
                alpha=0.55,
                zorder=2,
                label=label if position == 0 else None,
            )
            axes.plot([x - 0.11, x + 0.11], [values.mean()] * 2, color=INK, lw=1.8, zorder=3)
            axes.text(x, 104, f"{values.mean():.0f}", ha="center", va="center", fontsize=6)
    axes.set_xticks(np.arange(len(classes)), [class_title(name).replace(" ", "\n") for name in classes])
    axes.set_ylim(-2, 108)
    axes.set_yticks(range(0, 101, 20))
