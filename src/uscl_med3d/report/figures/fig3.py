"""Figure 3: frames and masks of one sweep stacked into a volume pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Affine2D

from uscl_med3d.core.io import load_volume
from uscl_med3d.report.figures.images import clear, outline_labels, show_frame, tint
from uscl_med3d.report.figures.inputs import UNLABELLED, FigureInputs, Needed, Sweep, read_sweeps
from uscl_med3d.report.style import INK, new_figure, say

TITLE = "Figure 3. Frames and masks stacked into a volume"
CAPTION = (
    "The frames of one sweep and their pseudo-labels stacked along the sweep (left), and three orthogonal "
    "cuts through the volume with the pseudo-label contours (right). Without tracking the sweep axis has no "
    "millimetres: it is drawn in frames."
)

STACKED = 7


def build(job: Any, inputs: FigureInputs) -> Figure:
    """Two stacks (image, label) and three cuts."""
    figure = new_figure(1.95)
    chosen = choose_sweep(job.figures.example_sweeps, inputs)
    if chosen is None:
        say(figure.subplots(), "no ingested sweep to show")
        return figure
    sweep, labels, source = chosen
    grid: Any = figure.add_gridspec(1, 5, width_ratios=[1.3, 1.3, 1, 1, 1])
    axes = [figure.add_subplot(cell) for cell in grid]
    _stack(axes[0], [frame for frame in sweep.image], None, job, sweep)
    axes[0].set_title("frames")
    _stack(axes[1], [np.zeros_like(frame) for frame in sweep.image], labels, job, sweep)
    axes[1].set_title(source)
    _cuts(axes[2:], sweep, labels, job)
    return figure


def needed(classes: Mapping[str, int], limit: int, inputs: FigureInputs) -> Needed:
    """One whole sweep."""
    chosen = choose_sweep(limit, inputs)
    if chosen is not None:
        yield chosen[0].name, None


def choose_sweep(limit: int, inputs: FigureInputs) -> tuple[Sweep, np.ndarray, str] | None:
    """The sweep with the most classes (then labelled voxels) among the first `limit`, its labels.

    And what they are.
    """
    best = None
    for sweep in read_sweeps(inputs, (), limit):
        labels, source = _labels(inputs, sweep)
        present = labels[(labels > 0) & (labels != UNLABELLED)]
        rank = (len(np.unique(present)), present.size)
        if best is None or rank > best[0]:
            best = (rank, sweep, labels, source)
    return best[1:] if best else None


def _labels(inputs: FigureInputs, sweep: Sweep) -> tuple[np.ndarray, str]:
    path = None if inputs.pseudolabels_dir is None else inputs.pseudolabels_dir / f"{sweep.name}.nii.gz"
    if path is not None and path.is_file():
        return load_volume(path)[0], "pseudo-labels"
    annotated = (sweep.key_frames != UNLABELLED).any()
    return sweep.key_frames, "annotated key frames" if annotated else "no annotation"


def _stack(axes: Axes, frames: list[np.ndarray], labels: np.ndarray | None, job: Any, sweep: Sweep) -> None:
    """Frames as leaning sheets, the first one in front."""
    h, w = frames[0].shape
    height = h * sweep.aspect
    indices = np.unique(np.linspace(0, len(frames) - 1, min(STACKED, len(frames))).round().astype(int))
    step_x, step_y, lean = 0.24 * w, 0.17 * height, 0.22
    for position in range(len(indices) - 1, -1, -1):
        index = indices[position]
        sheet = Affine2D().skew(0, -np.arctan(lean)).scale(0.62, 1.0)
        move = sheet.translate(position * step_x, -position * step_y) + axes.transData
        look: dict[str, Any] = {"extent": (0, w, height, 0), "transform": move}
        axes.imshow(frames[index], cmap="gray", vmin=0, vmax=255, zorder=-position, **look)
        if labels is not None:
            layer = tint(labels[index], job.classes, job.figures.colours, 0.95)
            axes.imshow(layer, zorder=-position + 0.1, **look)
        border: dict[str, Any] = {"color": "white", "lw": 0.6, "transform": move, "zorder": -position + 0.2}
        axes.plot([0, w, w, 0, 0], [0, 0, height, height, 0], **border)
    count = len(indices) - 1
    axes.set_xlim(-0.05 * w, 0.67 * w + count * step_x)
    axes.set_ylim(height * 1.03, -count * step_y - lean * w * 0.75)
    axes.set_aspect("equal")
    clear(axes)
    axes.set_facecolor("none")
    _sweep_arrow(axes, 0.62 * w, height, count * step_x, count * step_y)


def _sweep_arrow(axes: Axes, x: float, height: float, across: float, up: float) -> None:
    arrow = {"arrowstyle": "->", "color": INK, "lw": 0.8}
    axes.annotate(
        "", xy=(x + across, height * 0.95 - up), xytext=(x + 0.15 * across, height), arrowprops=arrow
    )
    axes.text(x + 0.65 * across, height - 0.35 * up, "sweep", fontsize=7, color=INK, ha="left", va="top")


def _cuts(axes: list[Axes], sweep: Sweep, labels: np.ndarray, job: Any) -> None:
    present = (labels > 0) & (labels != UNLABELLED)
    others = [tuple(a for a in range(3) if a != axis) for axis in range(3)]
    sizes = zip(others, labels.shape, strict=True)
    centre = [int(present.sum(rest).argmax()) if present.any() else n // 2 for rest, n in sizes]
    d, h = sweep.image.shape[:2]
    cuts = (
        ("across the sweep (h, w)", sweep.image[centre[0]], labels[centre[0]], sweep.aspect),
        ("along the sweep (d, w)", sweep.image[:, centre[1]], labels[:, centre[1]], h * sweep.aspect / d),
        (
            "along the sweep (d, h)",
            sweep.image[:, :, centre[2]],
            labels[:, :, centre[2]],
            h * sweep.aspect / d,
        ),
    )
    for panel, (title, image, label, aspect) in zip(axes, cuts, strict=True):
        show_frame(panel, image, aspect)
        outline_labels(panel, label, job.classes, job.figures.colours)
        panel.set_title(title, fontsize=7)
