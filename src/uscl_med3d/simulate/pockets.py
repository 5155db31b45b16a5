"""Free fluid collects in pockets; a film of it between two organs is no target that anybody would outline."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation, distance_transform_edt

from uscl_med3d.simulate.probe import CoarseGrid


def drop_films(fluid: np.ndarray, grid: CoarseGrid, frame_step_mm: float, thickness_mm: float) -> np.ndarray:
    """Pixels of `fluid` (fan pixels, f) that belong to no pocket at least `thickness_mm` thick, as a mask.

    A pocket is what a ball of that diameter can reach (a morphological opening, on the anatomy's grid).
    """
    films = np.zeros_like(fluid)
    if not fluid.any():
        return films
    step = grid.step_mm
    coarse = np.zeros((*grid.shape, fluid.shape[1]), bool)
    coarse[grid.node_inside] = fluid[grid.node_pixel]
    box = tuple(slice(max(i.min() - 3, 0), i.max() + 4) for i in np.nonzero(coarse)) if coarse.any() else None
    keep = np.zeros_like(coarse)
    if box is not None:
        part = np.pad(coarse[box], 1)
        sampling = (step, step, frame_step_mm)
        middle = distance_transform_edt(part, sampling=sampling) >= thickness_mm / 2
        if middle.any():
            reach = distance_transform_edt(~middle, sampling=sampling) <= thickness_mm / 2
            keep[box] = binary_dilation(reach, iterations=1)[1:-1, 1:-1, 1:-1]
    near = grid.to_fan @ keep.reshape(-1, fluid.shape[1]).astype(np.float32) > 0.5
    return fluid & ~near
