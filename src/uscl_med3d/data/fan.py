"""Where in the frame the ultrasound image is: the fan of a convex probe, the rectangle of a linear one.

Everything else is furniture: scales, logos, names. It carries no anatomy and may identify the patient, so it
is zeroed before anything learns from the sweep.
"""

from __future__ import annotations

import numpy as np

from uscl_med3d.data.resample import area_weights, shrink


def find_fan(
    brightest: np.ndarray,
    darkest: np.ndarray,
    *,
    threshold: int,
    working_side: int,
    opening: int,
    min_share: float,
    min_motion: float,
) -> np.ndarray:
    """Image region of a clip, bool (h, w).

    brightest, darkest: temporal maximum and minimum of the clip, uint8 (h, w). Tissue lights up at some time
    in most of the fan. Brightness above `threshold` is opened by `opening` pixels at a working resolution of
    `working_side` pixels (thin strokes of text and rulers vanish), and the largest connected part is the
    image, with parts of at least `min_share` of its area in line with it (an anechoic organ can split the
    fan) that move at least `min_motion` times as much as it does (a menu bar does not move). Their convex
    hull, which covers shadows, is the region. Without any signal the whole frame is the region.
    """
    height, width = brightest.shape
    step = max(1.0, max(height, width) / working_side)
    rows = area_weights(height, 0.0, step, max(1, round(height / step)))
    columns = area_weights(width, 0.0, step, max(1, round(width / step)))
    bright = shrink(brightest.astype(np.float32), rows, columns)
    motion = 1 - shrink(darkest.astype(np.float32), rows, columns) / np.maximum(bright, 1)
    labels, count = _parts(bright > threshold, opening)
    if count == 0:
        return np.ones((height, width), bool)
    region = _image_parts(labels, count, motion, min_share, min_motion)
    return _hull(region, height, width, step)


def _parts(signal: np.ndarray, opening: int) -> tuple[np.ndarray, int]:
    """Connected parts of a bool image after opening, as (labels, count)."""
    from scipy import ndimage

    if opening:
        # Padding with the edge's own value: a fan that touches the border must not be eaten from there.
        padded = np.pad(signal, opening, mode="edge")
        signal = ndimage.binary_opening(padded, iterations=opening)[opening:-opening, opening:-opening]
    return ndimage.label(signal, structure=np.ones((3, 3)))


def bounding_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) of a bool (h, w) mask; bottom and right exclusive."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _image_parts(
    labels: np.ndarray, count: int, motion: np.ndarray, min_share: float, min_motion: float
) -> np.ndarray:
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    areas[0] = 0
    largest = int(areas.argmax())
    columns = np.flatnonzero((labels == largest).any(0))
    image_motion = np.median(motion[labels == largest])
    keep = [largest]
    for label in range(1, count + 1):
        part = labels == label
        in_line = columns[0] <= np.flatnonzero(part.any(0)).mean() <= columns[-1]
        moves = np.median(motion[part]) >= min_motion * image_motion
        if label != largest and areas[label] >= min_share * areas[largest] and in_line and moves:
            keep.append(label)
    return np.isin(labels, keep)


def _hull(region: np.ndarray, height: int, width: int, step: float) -> np.ndarray:
    """Convex hull of a region of the working grid, on the frame's own grid."""
    from scipy.spatial import ConvexHull

    rows, columns = np.nonzero(region)
    # Corners of the pixels, not centres: one row or column of pixels still has an area.
    corners = (
        np.concatenate([np.stack([rows + dy, columns + dx], 1) for dy in (0, 1) for dx in (0, 1)]) * step
    )
    # Each edge a * y + b * x + c <= 0 bounds the columns of a row from one side.
    y = np.arange(height) + 0.5
    low, high = np.full(height, -np.inf), np.full(height, np.inf)
    for a, b, c in ConvexHull(corners).equations:
        if abs(b) > 1e-9:
            bound = -(a * y + c) / b
            low, high = (low, np.minimum(high, bound)) if b > 0 else (np.maximum(low, bound), high)
        else:
            high = np.where(a * y + c <= 1e-6, high, -np.inf)
    x = np.arange(width) + 0.5
    return (x >= low[:, None] - 1e-6) & (x <= high[:, None] + 1e-6)
