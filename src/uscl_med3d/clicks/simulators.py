"""Click simulators: where a user would click next, given a prediction and the reference mask.

A click is (d, h, w, label) in voxel indices of the arrays given; label 1 says "object", 0 "background". A
simulator returns None when nothing is wrong within the scored voxels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, SupportsInt

import numpy as np

Click = tuple[int, int, int, int]


class Integers(Protocol):
    """The one method a simulator needs of a random generator."""

    def integers(self, high: int, /) -> SupportsInt: ...


Simulator = Callable[[np.ndarray, np.ndarray, Integers], Click | None]


def draw_first_click(target: np.ndarray, random: Integers) -> Click:
    """A voxel drawn uniformly from a boolean mask (d, h, w).

    Raises:
        ValueError: for an empty mask.
    """
    candidates = np.flatnonzero(target)
    if candidates.size == 0:
        raise ValueError("the first click needs a non-empty target")
    return _draw(candidates, target.shape, random, label=1)


def random_error(prediction: np.ndarray, truth: np.ndarray, random: Integers) -> Click | None:
    """A voxel drawn uniformly from all wrong voxels, missed and surplus together.

    Args:
        prediction, truth: boolean (d, h, w). Voxels that must not count are given the same value in both.

    Source: uni-medical/SAM-Med3D@f3de1fa10da9:utils/click_method.py (behaviour only).
    """
    candidates = np.flatnonzero(prediction != truth)
    if candidates.size == 0:
        return None
    return _labelled(candidates, truth, random)


def largest_error_centre(prediction: np.ndarray, truth: np.ndarray, random: Integers) -> Click | None:
    """A voxel near the centre of the thickest error, missed or surplus, whichever is thicker (surplus on
    ties).

    Candidates are the voxels deeper than half the depth of the deepest one, by exact Euclidean distance; the
    border of the array counts as the end of an error.

    Source: uni-medical/SAM-Med3D@f3de1fa10da9:utils/click_method.py (after RITM; FastSAM3D's default;
        behaviour only).
    """
    missed, surplus = _depth(truth & ~prediction), _depth(prediction & ~truth)
    depth = missed if missed.max() > surplus.max() else surplus
    if depth.max() == 0:
        return None
    return _labelled(np.flatnonzero(depth > depth.max() / 2), truth, random)


SIMULATORS: dict[str, Simulator] = {
    "random_error": random_error,
    "largest_error_centre": largest_error_centre,
}


def _depth(error: np.ndarray) -> np.ndarray:
    """Distance of each voxel of `error` to the nearest voxel outside it (in its bounding box only)."""
    depth = np.zeros(error.shape)
    if error.any():
        from scipy.ndimage import distance_transform_edt, find_objects

        box = find_objects(error.astype(np.uint8))[0]
        # One layer of zeros: outside the box lies no error, and the array's border counts as outside too.
        depth[box] = distance_transform_edt(np.pad(error[box], 1))[1:-1, 1:-1, 1:-1]
    return depth


def _labelled(candidates: np.ndarray, truth: np.ndarray, random: Integers) -> Click:
    voxel = _draw(candidates, truth.shape, random, label=0)
    return (*voxel[:3], int(truth[voxel[:3]]))


def _draw(candidates: np.ndarray, shape: tuple[int, ...], random: Integers, label: int) -> Click:
    chosen = candidates[int(random.integers(candidates.size))]
    d, h, w = np.unravel_index(chosen, shape)
    return int(d), int(h), int(w), label
