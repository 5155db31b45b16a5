"""The simulated annotator: which frames are annotated, and how far the drawn contour is off."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from uscl_med3d.core.params.simulate import Annotator

CANDIDATES = 16  # frames considered as key frames; all their combinations are compared


def choose_key_frames(areas: np.ndarray, annotator: Annotator) -> list[int]:
    """Key frames of one sweep from visible areas (classes, f).

    As many classes as possible are covered `frames_per_class` times; then the most even spread wins.
    """
    seen = areas > 0.25 * areas.max(axis=1, keepdims=True).clip(1)
    frames = np.nonzero(seen.any(axis=0))[0]
    if len(frames) == 0:
        frames = np.arange(areas.shape[1])
    count = min(annotator.key_frames, len(frames))
    candidates = frames[np.unique(np.linspace(0, len(frames) - 1, CANDIDATES).astype(int))]
    if len(candidates) < count:
        return [int(frame) for frame in frames[:count]]
    choices = np.array(list(combinations(candidates, count)))
    covered = np.minimum(seen[:, choices].sum(axis=2), annotator.frames_per_class).sum(axis=0)
    ideal = frames[0] + (np.arange(count) + 0.5) / count * (frames[-1] - frames[0])
    uneven = ((choices - ideal) ** 2).sum(axis=1)
    return [int(frame) for frame in choices[np.lexsort((uneven, -covered))[0]]]


def draw_contours(
    rng: np.random.Generator, truth: np.ndarray, fan_mask: np.ndarray, spacing_mm: float, annotator: Annotator
) -> np.ndarray:
    """A drawn label map (h, w) uint8: every true contour moved by a smooth random displacement."""
    drawn = np.zeros_like(truth)
    best = np.zeros(truth.shape, np.float32)
    for value in np.unique(truth[truth > 0]):
        mask = truth == value
        if mask.sum() * spacing_mm**2 < annotator.smallest_area_mm2:
            continue
        rows, columns = (slice(max(i.min() - 12, 0), i.max() + 13) for i in np.nonzero(mask))
        part = mask[rows, columns]
        inside = distance_transform_edt(part) - distance_transform_edt(~part)
        wobble = gaussian_filter(
            rng.standard_normal(part.shape), annotator.contour_correlation_mm / spacing_mm / 2
        )
        margin = spacing_mm * inside + annotator.contour_error_mm * wobble / wobble.std()
        chosen = (margin > best[rows, columns]) & fan_mask[rows, columns]
        drawn[rows, columns][chosen] = value
        best[rows, columns][chosen] = margin[chosen]
    return drawn
