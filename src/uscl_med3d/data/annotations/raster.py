"""Outlines and run lengths as pixels.

A polygon's coordinates are continuous: pixel (row r, column c) covers r to r + 1 and c to c + 1, and belongs to the
polygon where its middle does (even-odd rule). A middle exactly on a left or upper edge is inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from uscl_med3d.data.annotations.base import Canvas, damaged

# Tools let an outline run along the border and round it outwards; more than this is another image's outline.
BORDER_PX = 1.0
MOST_DIGITS = 7  # 5 bits each: longer run lengths than any image has pixels are damage, not data


def polygon_area(points: Sequence[Sequence[float]], canvas: Canvas, file: Path) -> np.ndarray:
    """bool (h, w) of a closed polygon given as (x, y) pairs, at least three."""
    corners = np.asarray(points, float)
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3 or not np.isfinite(corners).all():
        raise damaged(file, f"a polygon with the points {points!r:.120}", "at least 3 points (x, y)")
    low, high = corners.min(axis=0), corners.max(axis=0)
    if (low < -BORDER_PX).any() or high[0] > canvas.width + BORDER_PX or high[1] > canvas.height + BORDER_PX:
        raise damaged(
            file,
            f"a polygon from ({low[0]:g}, {low[1]:g}) to ({high[0]:g}, {high[1]:g})",
            f"points inside the frame of {canvas.width} x {canvas.height} pixels",
        )
    # Every crossing of an edge with a pixel row's middle switches inside and outside for all pixels right of it.
    switches = np.zeros((canvas.height, canvas.width + 1), np.int64)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        first, last = np.clip(np.ceil(np.array(sorted((y0, y1))) - 0.5), 0, canvas.height).astype(int)
        rows = np.arange(first, last)
        crossings = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
        columns = np.clip(np.ceil(crossings - 0.5), 0, canvas.width).astype(int)
        np.add.at(switches, (rows, columns), 1)
    return (np.cumsum(switches, axis=1)[:, :-1] % 2).astype(bool)


def run_area(
    counts: Sequence[int], height: int, width: int, order: Literal["C", "F"], file: Path
) -> np.ndarray:
    """bool (height, width) of run lengths that start with background.

    order: `C` where runs go along the rows (CVAT), `F` along the columns (COCO).
    """
    whole = [int(count) for count in counts]
    if any(count != given for count, given in zip(whole, counts, strict=True)) or min(whole, default=0) < 0:
        raise damaged(file, f"run lengths {counts!r:.80}", "whole numbers that are not negative")
    if sum(whole) != height * width:
        raise damaged(
            file,
            f"run lengths of {sum(whole)} pixels",
            f"{height * width} pixels ({width} x {height})",
        )
    values = np.arange(len(whole)) % 2 == 1
    return np.repeat(values, whole).reshape((height, width), order=order)


def unpack_counts(text: str, file: Path) -> list[int]:
    """Run lengths from COCO's compressed string.

    A number is written in digits of 5 bits, lowest first, in the characters from "0"; 32 says that more follow, and
    16 in the last one that it is negative. From the fourth on they are differences to the number two before.
    Source: cocodataset/cocoapi@8c9bcc3cf640:common/maskApi.c (behaviour only).
    """
    counts: list[int] = []
    value, digits = 0, 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or digits == MOST_DIGITS:
            raise damaged(file, f"compressed run lengths {text!r:.80}", "COCO's compressed run lengths")
        value |= (code & 31) << (5 * digits)
        digits += 1
        if code & 32:
            continue
        if code & 16:
            value -= 1 << (5 * digits)
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value, digits = 0, 0
    if digits:
        raise damaged(
            file, "compressed run lengths that end within a number", "COCO's compressed run lengths"
        )
    return counts
