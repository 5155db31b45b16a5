"""Clicks and boxes on masks of single images, as SAMUS draws them; coordinates are (x, y) pixels.

Source: xianlin7/SAMUS@030ed07cebe4:utils/data_us.py (behaviour only).
"""

from __future__ import annotations

import random

import numpy as np

Click = tuple[int, int, int]
Box = tuple[int, int, int, int]


def fixed_click(mask: np.ndarray, label: int) -> Click:
    """Middle pixel of the object in row order, (x, y, 1); of the background, (x, y, 0), if the object is absent."""
    rows, columns, kind = _candidates(mask, label)
    at = len(rows) // 2
    return int(columns[at]), int(rows[at]), kind


def random_click(mask: np.ndarray, label: int, rng: np.random.RandomState) -> Click:
    """A uniformly drawn pixel of the object, or of the background if the object is absent."""
    rows, columns, kind = _candidates(mask, label)
    at = int(rng.randint(len(rows)))
    return int(columns[at]), int(rows[at]), kind


def tight_box(mask: np.ndarray, label: int) -> Box:
    """(x0, y0, x1, y1), corners inclusive; (-1, -1, side, side) if the object is absent."""
    rows, columns = np.nonzero(mask == label)
    if not len(rows):
        return -1, -1, mask.shape[1], mask.shape[0]
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


def random_box(mask: np.ndarray, label: int, chooser: random.Random) -> Box:
    """The tight box, up to 5 % of its size wider, narrower and shifted, inside the image."""
    if not (mask == label).any():
        return tight_box(mask, label)
    x0, y0, x1, y1 = tight_box(mask, label)
    spans = x1 - x0 + 1, y1 - y0 + 1
    drawn = [chooser.randint(int(0.95 * span), int(1.05 * span)) for span in spans]
    moved = [chooser.randint(-int(0.05 * span), int(0.05 * span)) for span in spans]
    corners = []
    for low, high, span, shift in zip((x0, y0), (x1, y1), drawn, moved, strict=True):
        centre = (low + high) // 2 + shift
        corners.append((centre - span // 2, centre + span // 2))
    limits = mask.shape[1] - 1, mask.shape[0] - 1
    (left, right), (top, bottom) = (
        (max(low, 0), min(high, limit)) for (low, high), limit in zip(corners, limits, strict=True)
    )
    return left, top, right, bottom


def _candidates(mask: np.ndarray, label: int) -> tuple[np.ndarray, np.ndarray, int]:
    rows, columns = np.nonzero(mask == label)
    if len(rows):
        return rows, columns, 1
    rows, columns = np.nonzero(mask != label)
    return rows, columns, 0
