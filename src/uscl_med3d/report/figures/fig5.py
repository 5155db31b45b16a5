"""Figure 5: the contextual-position task (VCL head).

With the real base grid and random crops on a real sweep.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from uscl_med3d.core import seeds
from uscl_med3d.report.figures.diagram import DATA_FACE, arrow, box, note, prepare, trained_box
from uscl_med3d.report.figures.images import show_frame
from uscl_med3d.report.figures.inputs import FigureInputs, Needed, Sweep, read_sweeps
from uscl_med3d.report.style import MUTED, halo, new_figure, say

TITLE = "Figure 5. The VCL head: contextual-position pretraining of the encoder's LoRA layers"
CAPTION = (
    "Left: the base grid (white) and random crops (coloured) of this run's configuration on one frame of a "
    "sweep. Middle: the label of each random crop, its overlap with every base crop. Right: the computation. "
    "The crops shown are examples; training draws new ones in every step."
)

CROP_COLOURS = ("#F0E442", "#56B4E9", "#D55E00", "#CC79A7", "#009E73", "#E69F00")


def base_boxes(shape_dhw: tuple[int, ...], grid_dhw: tuple[int, ...]) -> np.ndarray:
    """Base crops (n, 6) as (d0, h0, w0, d1, h1, w1), tiling the volume, w fastest."""
    edges = [np.round(np.linspace(0, n, k + 1)).astype(int) for n, k in zip(shape_dhw, grid_dhw, strict=True)]
    cells = np.stack(np.meshgrid(*[np.arange(k) for k in grid_dhw], indexing="ij"), -1).reshape(-1, 3)
    low = np.stack([edges[axis][cells[:, axis]] for axis in range(3)], 1)
    high = np.stack([edges[axis][cells[:, axis] + 1] for axis in range(3)], 1)
    return np.concatenate([low, high], 1)


def draw_boxes(
    shape_dhw: tuple[int, ...], grid_dhw: tuple[int, ...], count: int, rng: np.random.Generator
) -> np.ndarray:
    """Random crops (count, 6) of a base crop's size."""
    side = np.asarray(shape_dhw) // np.asarray(grid_dhw)
    low = rng.integers(0, np.asarray(shape_dhw) - side, size=(count, 3), endpoint=True)
    return np.concatenate([low, low + side], 1)


def overlaps(crop: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Labels y (crops, n): the share of each crop's volume inside each base crop."""
    low = np.maximum(crop[:, None, :3], base[None, :, :3])
    high = np.minimum(crop[:, None, 3:], base[None, :, 3:])
    volume = (crop[:, 3:] - crop[:, :3]).prod(1)
    return np.clip(high - low, 0, None).prod(2) / volume[:, None]


def needed(classes: Mapping[str, int], limit: int, inputs: FigureInputs) -> Needed:
    """The middle frame of the first sweep."""
    for sweep in read_sweeps(inputs, (), 1):
        yield sweep.name, [len(sweep.image) // 2]


def build(job: Any, inputs: FigureInputs) -> Figure:
    """Sweep with crops, labels, computation."""
    figure = new_figure(2.5)
    panels = figure.subplots(1, 3, width_ratios=[1.0, 0.72, 2.3])
    sweep = next(read_sweeps(inputs, (), 1), None)
    shape = (job.model.image_size,) * 3 if sweep is None else sweep.image.shape
    grid = job.pretrain.tasks["vcl"]["base_grid"]
    base = base_boxes(shape, grid)
    crops = draw_boxes(shape, grid, job.figures.vcl_crops_drawn, seeds.rng(job.seed, "report", "fig5"))
    _sweep(panels[0], sweep, base, crops)
    _labels(panels[1], overlaps(crops, base))
    _computation(panels[2], job)
    return figure


def _sweep(axes: Axes, sweep: Sweep | None, base: np.ndarray, crops: np.ndarray) -> None:
    if sweep is None:
        say(axes, "no ingested sweep to show")
        return
    frame = len(sweep.image) // 2
    show_frame(axes, sweep.image[frame], sweep.aspect)
    on_frame = {tuple(cell[[1, 2, 4, 5]]): number for number, cell in reversed(list(enumerate(base, 1)))}
    for (h0, w0, h1, w1), number in on_frame.items():
        place = ((w0 - 0.5, h0 - 0.5), w1 - w0, h1 - h0)
        axes.add_patch(Rectangle(*place, fill=False, ec="white", lw=1.2, ls="--"))
        at = (w0 + 0.04 * (w1 - w0), h0 + 0.12 * (h1 - h0))
        axes.text(
            *at, str(number), color="white", fontsize=8, weight="bold", path_effects=halo(), va="center"
        )
    for letter, crop, colour in zip("abcdef", crops, CROP_COLOURS, strict=False):
        _, h0, w0, _, h1, w1 = crop
        axes.add_patch(Rectangle((w0 - 0.5, h0 - 0.5), w1 - w0, h1 - h0, fill=False, ec=colour, lw=1.8))
        look: dict[str, Any] = {"color": colour, "fontsize": 8, "weight": "bold", "path_effects": halo()}
        axes.text((w0 + w1 - 1) / 2, (h0 + h1 - 1) / 2, letter, ha="center", va="center", **look)
    axes.set_title(f"base crops 1…{len(base)}\nand random crops")
    axes.set_xlabel(f"{sweep.name}, frame {frame}", fontsize=6)


def _labels(axes: Axes, labels: np.ndarray) -> None:
    axes.imshow(labels, cmap="Greys", vmin=0, vmax=1.3, aspect="equal")
    for row, column in np.ndindex(labels.shape):
        axes.text(column, row, f"{labels[row, column]:.2f}", ha="center", va="center", fontsize=6.5)
    letters = "abcdef"[: len(labels)]
    axes.set_yticks(range(len(labels)), list(letters))
    for tick, colour in zip(axes.get_yticklabels(), CROP_COLOURS, strict=False):
        tick.set(color=colour, weight="bold", path_effects=halo("#555555", 0.8))
    axes.set_xticks(range(labels.shape[1]), [str(n + 1) for n in range(labels.shape[1])])
    axes.set_xlabel("base crop")
    axes.set_title("labels y: overlap")
    axes.grid(False)


def _computation(axes: Axes, job: Any) -> None:
    p, schedule = SimpleNamespace(**job.pretrain.tasks["vcl"]), job.pretrain.schedule
    prepare(axes, 100, 64)
    box(axes, 0, 42, 17, 12, f"{p.random_crops} random\ncrops", face=DATA_FACE, size=6.3)
    box(axes, 0, 10, 17, 12, f"{int(np.prod(p.base_grid))} base\ncrops", face=DATA_FACE, size=6.3)
    network = f"encoder + LoRA,\n{p.head} projection"
    trained_box(axes, 23, 39, 28, 18, f"student θ\n{network}", 6.3)
    box(axes, 23, 7, 28, 18, f"teacher θ′\n{network}", size=6.3)
    box(axes, 60, 41, 40, 14, "logits l = cos(z, zᵢ)\nL_pred: distance of l and y", face=DATA_FACE, size=6.3)
    box(axes, 60, 9, 40, 14, "L_reg: |cos(zᵢ, zⱼ)| → 0\nbetween base crops", face=DATA_FACE, size=6.3)
    for y in (48, 16):
        arrow(axes, (17, y), (23, y))
        arrow(axes, (51, y), (60, y))
    arrow(axes, (37, 39), (37, 25))
    note(axes, 35.5, 32, f"θ′ ← {p.momentum:g} θ′ + {1 - p.momentum:g} θ,\nbefore use", 6, ha="right")
    arrow(axes, (55.5, 16), (66, 41))
    note(axes, 55.5, 50.5, "z", 6.5)
    note(axes, 55.5, 13, "zᵢ", 6.5)
    form = {"paper": "as in the paper's equations", "code": "as in VoCo's code"}[p.form]
    note(
        axes,
        50,
        61.5,
        f"embedding {p.head_dim}, {schedule.steps} steps, batch {schedule.batch_size}",
        6,
        MUTED,
    )
    note(axes, 50, 1.8, f"L = L_pred + L_reg ({form}); the projection is dropped afterwards", 6, MUTED)
