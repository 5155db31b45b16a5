"""Figure 2: how pseudo-labels are made, with the real frames, masks and gate of one sweep."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from uscl_med3d.core.io import load_volume
from uscl_med3d.report.figures.diagram import arrow, box, note, prepare
from uscl_med3d.report.figures.images import outline_labels, show_frame
from uscl_med3d.report.figures.inputs import UNLABELLED, FigureInputs, Needed, Sweep, list_sweeps, load_sweep
from uscl_med3d.report.style import DASHES, INK, MUTED, class_title, new_figure, say

TITLE = "Figure 2. From a few key frames to a pseudo-labelled sweep"
CAPTION = (
    "Annotated key frames of one sweep prompt SegGPT (left), which labels the other frames (right); contours "
    "are masks as stored. Below: SegGPT's confidence along the sweep and the frames that the gate rejected. "
    "One sweep, chosen for showing many classes; see the quality figure for all of them."
)

SHOWN_FRAMES = 4


def build(job: Any, inputs: FigureInputs) -> Figure:
    """Key frames, SegGPT, labelled frames; confidence below."""
    figure = new_figure(3.1)
    chosen = _choose(job.figures.example_sweeps, inputs)
    if chosen is None:
        say(
            figure.subplots(),
            "no pseudo-labelled sweep: the cohort has no key frames, or none passed the gate",
        )
        return figure
    sweep, labels = chosen
    prompts = _prompts(sweep)
    parts: Any = figure.subfigures(2, 1, height_ratios=[1.15, 1])
    top, bottom = parts
    widths = [1.0] * len(prompts) + [0.8] + [1.0] * SHOWN_FRAMES
    axes = top.subplots(1, len(widths), width_ratios=widths)
    for panel, frame in zip(axes, prompts, strict=False):
        _frame(panel, sweep, sweep.key_frames[frame], frame, job, f"key frame {frame}\nhuman mask")
    _model(axes[len(prompts)])
    free = axes[len(prompts) + 1 :]
    for panel in free:
        panel.set_axis_off()
    for panel, frame in zip(free, _between(labels, sweep), strict=False):
        panel.set_axis_on()
        _frame(panel, sweep, labels[frame], frame, job, f"frame {frame}\npseudo-label")
    _confidence(bottom.subplots(), job, inputs, sweep)
    return figure


def needed(classes: Mapping[str, int], limit: int, inputs: FigureInputs) -> Needed:
    """Key frames and some others of one pseudo-labelled sweep."""
    chosen = _choose(limit, inputs)
    if chosen is not None:
        sweep, labels = chosen
        yield sweep.name, [*_prompts(sweep), *_between(labels, sweep)]


def _prompts(sweep: Sweep) -> list[int]:
    """The first and the last key frame that prompts."""
    frames = sweep.frames_with_role("prompt")
    return [frames[0], frames[-1]] if len(frames) > 1 else frames


def _choose(limit: int, inputs: FigureInputs) -> tuple[Sweep, np.ndarray] | None:
    """The sweep with the most classes among the first that were given pseudo-labels, and its labels."""
    if inputs.pseudolabels_dir is None:
        return None
    best = None
    folder = Path(inputs.pseudolabels_dir)
    if not (folder / "sweeps.csv").is_file():
        return None
    known = set(pd.read_csv(folder / "sweeps.csv", dtype={"sweep": str})["sweep"])
    for name in [name for name in list_sweeps(inputs)["sweep"] if name in known][:limit]:
        sweep = load_sweep(inputs, name)
        if sweep is None or not sweep.frames_with_role("prompt") or not (folder / f"{name}.nii.gz").is_file():
            continue
        labels = load_volume(folder / f"{name}.nii.gz")[0]
        present = labels[(labels > 0) & (labels != UNLABELLED)]
        rank = (len(np.unique(present)), present.size)
        if best is None or rank > best[0]:
            best = (rank, sweep, labels)
    return best[1:] if best else None


def _between(labels: np.ndarray, sweep: Sweep) -> list[int]:
    """Evenly spaced accepted frames that are no key frames."""
    keys = {*sweep.frames_with_role("prompt"), *sweep.frames_with_role("held_out")}
    free = [d for d in range(len(labels)) if d not in keys and not (labels[d] == UNLABELLED).all()]
    if not free:
        return []
    places = np.linspace(0, len(free) - 1, SHOWN_FRAMES + 2)[1:-1].round().astype(int)
    return [free[place] for place in dict.fromkeys(places)]


def _frame(axes: Axes, sweep: Sweep, labels: np.ndarray, frame: int, job: Any, title: str) -> None:
    show_frame(axes, sweep.image[frame], sweep.aspect)
    outline_labels(axes, labels, job.classes, job.figures.colours)
    axes.set_title(title, fontsize=7)


def _model(axes: Axes) -> None:
    prepare(axes, 10, 10)
    axes.set_aspect("equal")
    box(axes, 1.2, 2.8, 7.6, 4.4, "SegGPT", bold=True, size=7.5)
    note(axes, 5, 1.4, "one binary pass\nper class", 6, MUTED)
    arrow(axes, (-0.6, 5), (1.2, 5))
    arrow(axes, (8.8, 5), (10.6, 5))


def _confidence(axes: Axes, job: Any, inputs: FigureInputs, sweep: Sweep) -> None:
    assert inputs.pseudolabels_dir is not None  # a labelled sweep was found in it
    path = Path(inputs.pseudolabels_dir) / "frames.csv"
    if not path.is_file():
        say(axes, "no frames.csv beside the pseudo-labels")
        return
    frames = pd.read_csv(path, dtype={"sweep": str})
    frames = frames[frames["sweep"] == sweep.name]
    for position, (name, rows) in enumerate(frames.groupby("class", sort=True)):
        rows = rows.sort_values("frame")
        colour, dash = job.figures.colours.get(name, INK), DASHES[position % len(DASHES)]
        axes.plot(rows["frame"], rows["confidence"], color=colour, label=class_title(str(name)), ls=dash)
    rejected = sorted(frames.loc[~frames["accepted"].astype(bool), "frame"].unique())
    for position, frame in enumerate(rejected):
        axes.axvspan(frame - 0.5, frame + 0.5, color="#D9D9D9", lw=0, label="" if position else "rejected")
    for role, marker, text in (
        ("prompt", "v", "key frame (prompt)"),
        ("held_out", "^", "key frame (held out)"),
    ):
        at = sweep.frames_with_role(role)
        if at:
            axes.plot(at, [1.03] * len(at), marker, color=INK, clip_on=False, label=text, ls="none")
    limit = job.pseudolabel.gate.min_confidence
    axes.axhline(limit, color=MUTED, lw=0.8, ls=DASHES[1], label="least confidence accepted")
    lowest = min(limit, frames["confidence"].min(skipna=True))
    axes.set(xlabel=f"frame of {sweep.name}", ylabel="confidence", ylim=(max(0.0, lowest - 0.1), 1.05))
    axes.set_xlim(-0.5, len(sweep.image) - 0.5)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
