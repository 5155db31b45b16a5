"""Dice, and surface metrics with known answers in known units."""

from __future__ import annotations

import math

import numpy as np
import pytest

from uscl_med3d.evaluate.cases import Distance
from uscl_med3d.evaluate.metrics import dice_percent, surface_scores


def box(shape, *ranges):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*r) for r in ranges)] = True
    return mask


def test_dice_and_the_empty_mask_rule():
    assert dice_percent(6, 8, 12, "undefined") == 60.0
    assert dice_percent(0, 5, 0, "undefined") == 0.0
    assert math.isnan(dice_percent(0, 0, 0, "undefined"))
    assert dice_percent(0, 0, 0, "full_score") == 100.0


@pytest.mark.parametrize(
    ("unit", "spacing", "expected"), [("mm", (2.0, 1.0, 1.0), 2.0), ("voxel", (1.0, 1.0, 1.0), 1.0)]
)
def test_a_shift_along_the_sweep_is_measured_in_the_stated_unit(unit, spacing, expected):
    truth = box((20, 20, 20), (5, 15), (5, 15), (5, 15))
    moved = np.roll(truth, 1, 0)
    nsd, hd95 = surface_scores(moved, truth, Distance(unit, spacing), tolerance=expected)
    assert hd95 == pytest.approx(expected) and nsd == pytest.approx(100.0)
    strict, _ = surface_scores(moved, truth, Distance(unit, spacing), tolerance=0.5 * expected)
    assert strict < 100.0


def test_the_volume_around_both_masks_does_not_matter():
    truth = box((12, 12, 12), (3, 8), (3, 8), (3, 8))
    other = box((12, 12, 12), (4, 9), (2, 8), (3, 7))
    distance = Distance("mm", (1.5, 1.0, 0.8))
    small = surface_scores(other[1:11, 1:11, 1:11], truth[1:11, 1:11, 1:11], distance, 1.0)
    assert small == pytest.approx(surface_scores(other, truth, distance, 1.0))


def test_touching_the_border_is_a_surface():
    truth = box((6, 6, 6), (0, 6), (0, 6), (0, 6))
    assert surface_scores(truth, truth, Distance("mm", (1.0, 1.0, 1.0)), 0.1) == pytest.approx((100.0, 0.0))


def test_no_prediction():
    truth = box((6, 6, 6), (1, 3), (1, 3), (1, 3))
    nsd, hd95 = surface_scores(np.zeros_like(truth), truth, Distance("mm", (1.0, 1.0, 1.0)), 1.0)
    assert nsd == 0.0 and math.isnan(hd95)


def test_in_plane_distances_ignore_the_sweep_axis():
    truth = box((6, 16, 16), (0, 6), (4, 10), (4, 10))
    moved = np.roll(truth, 2, 2)
    nsd, hd95 = surface_scores(moved, truth, Distance("mm_in_plane", (1.0, 1.0, 0.5)), 1.0)
    assert hd95 == pytest.approx(1.0) and nsd == pytest.approx(100.0)
    half = truth.copy()
    half[3:] = False
    nsd, hd95 = surface_scores(half, truth, Distance("mm_in_plane", (1.0, 1.0, 0.5)), 1.0)
    assert hd95 == pytest.approx(0.0) and nsd == pytest.approx(50.0)
