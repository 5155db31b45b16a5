"""Frames with masks drawn on them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from uscl_med3d.report.figures.inputs import UNLABELLED
from uscl_med3d.report.style import halo


def show_frame(axes: Axes, frame: np.ndarray, aspect: float = 1.0) -> None:
    """One grey frame (h, w), without ticks. `aspect` is pixel height over pixel width."""
    axes.imshow(frame, cmap="gray", vmin=0, vmax=max(float(np.percentile(frame, 99.7)), 1.0), aspect=aspect)
    clear(axes)


def clear(axes: Axes) -> None:
    """No ticks, grid or frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def outline(axes: Axes, mask: np.ndarray, colour: str, width: float = 1.3, style: str = "-") -> None:
    """The border of a binary mask (h, w); nothing for an empty one."""
    if not mask.any():
        return
    padded = np.pad(mask.astype(float), 1)
    h, w = mask.shape
    lines = axes.contour(
        np.arange(-1, w + 1),
        np.arange(-1, h + 1),
        padded,
        levels=[0.5],
        colors=[colour],
        linewidths=width,
        linestyles=[style],
    )
    lines.set_path_effects(halo("black", width + 0.9))
    axes.set_xlim(-0.5, w - 0.5)
    axes.set_ylim(h - 0.5, -0.5)


def outline_labels(
    axes: Axes, labels: np.ndarray, values: Mapping[str, int], colours: Mapping[str, str]
) -> None:
    """The border of every class of a label frame (h, w)."""
    for name, value in values.items():
        outline(axes, labels == value, colours[name])


def tint(
    labels: np.ndarray, values: Mapping[str, int], colours: Mapping[str, str], alpha: float
) -> np.ndarray:
    """Labels as a transparent colour layer, (h, w) -> (h, w, 4); unlabelled pixels are clear."""
    layer = np.zeros((*labels.shape, 4))
    for name, value in values.items():
        layer[labels == value] = (*to_rgb(colours[name]), alpha)
    layer[labels == UNLABELLED] = 0
    return layer
