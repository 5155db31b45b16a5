"""Where in the frame the ultrasound image is: the fan of a convex probe, the rectangle of a linear one.

Everything else is furniture: scales, logos, names. It carries no anatomy and may identify the patient, so it
is zeroed before anything learns from the sweep.
"""

from __future__ import annotations

import numpy as np

from uscl_med3d.data.resample import area_weights, shrink


def find_fan(
    brightest: np.ndarray, *, threshold: int, working_side: int, opening: int, min_share: float
) -> np.ndarray:
    """Image region of a clip, bool (h, w).

    brightest: temporal maximum of the clip, uint8 (h, w). Tissue lights up at some time in most of the fan,
    and text never leaves its place. Brightness above `threshold` is opened by `opening` pixels at a working
    resolution of `working_side` pixels (thin strokes of text and rulers vanish), the largest connected part
    is kept together with parts of at least `min_share` of its area below or above it (an anechoic organ can
    split the fan), and their convex hull, which covers shadows, is the region. Without any signal the whole
    frame is the region.
    """
    from scipy import ndimage

    height, width = brightest.shape
    step = max(1.0, max(height, width) / working_side)
    rows = area_weights(height, 0.0, step, max(1, round(height / step)))
    columns = area_weights(width, 0.0, step, max(1, round(width / step)))
    signal = shrink(brightest.astype(np.float32), rows, columns) > threshold
    if opening:
        # Padding with signal: a fan that touches the border must not be eaten from there.
        padded = np.pad(signal, opening, mode="edge")
        padded = ndimage.binary_opening(padded, iterations=opening)
        signal = padded[opening:-opening, opening:-opening]
    labels, count = ndimage.label(signal, structure=np.ones((3, 3)))
    if count == 0:
        return np.ones((height, width), bool)
    region = _image_parts(labels, count, min_share)
    return _hull(region, height, width, step)


def bounding_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) of a bool (h, w) mask; bottom and right exclusive."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _image_parts(labels: np.ndarray, count: int, min_share: float) -> np.ndarray:
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    areas[0] = 0
    largest = int(areas.argmax())
    columns = np.flatnonzero((labels == largest).any(0))
    left, right = columns[0], columns[-1]
    keep = [largest]
    for label in range(1, count + 1):
        if label == largest or areas[label] < min_share * areas[largest]:
            continue
        middle = np.flatnonzero((labels == label).any(0)).mean()
        if left <= middle <= right:  # furniture stands beside the fan, a split-off part in line with it
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
    inside = np.ones((height, width), bool)
    y, x = np.arange(height)[:, None] + 0.5, np.arange(width)[None, :] + 0.5
    for a, b, c in ConvexHull(corners).equations:
        inside &= a * y + b * x + c <= 1e-6
    return inside
