"""Labels on a fine grid: against an independent interpolation, and the same in every part."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from uscl_med3d.user.upsample import Axis, find_box, join, label, slices

SHAPE, COARSE = (23, 40, 36), (7, 10, 12)
AXES = (
    Axis.between(SHAPE[0], 0.0, SHAPE[0] / COARSE[0], COARSE[0]),
    Axis.between(SHAPE[1], 2.5, 3.4, COARSE[1]),
    Axis.between(SHAPE[2], -3.0, 3.7, COARSE[2]),
)
STARTS, STEPS = (0.0, 2.5, -3.0), (SHAPE[0] / COARSE[0], 3.4, 3.7)
REGION = np.ones(SHAPE[1:], bool)


def blob(centre, radius):
    distance = np.sqrt(sum((axis - at) ** 2 for axis, at in zip(np.indices(COARSE), centre, strict=True)))
    return (radius - distance).astype(np.float32)


def interpolate(logits):
    """By SciPy, on middles of cells in fine coordinates; constant beyond the ends."""
    middles = [
        start + (np.arange(size) + 0.5) * step
        for start, step, size in zip(STARTS, STEPS, COARSE, strict=True)
    ]
    points = np.stack(np.meshgrid(*[np.arange(size) + 0.5 for size in SHAPE], indexing="ij"), -1)
    for axis, middle in enumerate(middles):
        points[..., axis] = np.clip(points[..., axis], middle[0], middle[-1])
    return RegularGridInterpolator(middles, logits.astype(np.float64))(points)


@pytest.mark.parametrize("centre", [(3, 5, 6), (0, 0, 11), (6, 9, 0)])
def test_labels_are_where_an_independent_interpolation_is_above_zero(centre):
    logits = blob(centre, 2.6)
    expected = interpolate(logits)
    box = find_box(logits, AXES)
    found = np.zeros(SHAPE, np.uint8)
    found[slices(box)] = label([logits], AXES, box, REGION)
    sure = np.abs(expected) > 1e-4
    assert (found[sure] == (expected[sure] > 0)).all() and found.any()
    outside = np.ones(SHAPE, bool)
    outside[slices(box)] = False
    assert not (expected[outside] > 0).any()


def test_where_two_objects_overlap_the_larger_logit_wins_and_the_first_of_equal_ones():
    one, two = blob((3, 5, 5), 3.0), blob((3, 5, 8), 2.5)
    box = join([find_box(one, AXES), find_box(two, AXES)])
    fine = np.stack([interpolate(one), interpolate(two)])[(slice(None), *slices(box))]
    found = label([one, two], AXES, box, REGION)
    expected = np.where(fine.max(0) > 0, fine.argmax(0) + 1, 0)
    sure = (np.abs(fine).min(0) > 1e-4) & (np.abs(fine[0] - fine[1]) > 1e-4)
    assert (found[sure] == expected[sure]).all() and set(np.unique(found)) == {0, 1, 2}
    assert set(np.unique(label([one, one], AXES, box, REGION))) == {0, 1}


def test_a_part_has_the_bits_of_the_whole():
    objects = [blob((3, 5, 5), 3.0), blob((4, 6, 8), 2.5), blob((1, 2, 2), 0.5)]
    whole = label(objects, AXES, ((0, 23), (0, 40), (0, 36)), REGION)
    random = np.random.default_rng(0)
    for _ in range(30):
        box = tuple(tuple(sorted(random.choice(size + 1, 2, replace=False).tolist())) for size in SHAPE)
        np.testing.assert_array_equal(label(objects, AXES, box, REGION), whole[slices(box)])


def test_nothing_outside_the_region_and_no_box_without_an_object():
    region = np.zeros(SHAPE[1:], bool)
    region[:20] = True
    found = label([blob((3, 5, 6), 3.0)], AXES, ((0, 23), (0, 40), (0, 36)), region)
    assert found[:, :20].any() and not found[:, 20:].any()
    assert find_box(np.full(COARSE, -1.0, np.float32), AXES) is None
