"""Dice, and surface metrics with known answers in known units."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

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


@pytest.mark.parametrize("seed", range(6))
def test_surface_scores_are_those_of_monai(seed):
    import torch
    from monai.metrics import compute_hausdorff_distance, compute_surface_dice

    random = np.random.default_rng(seed)
    spacing, tolerance = tuple(random.uniform(0.5, 4, 3).round(2)), round(random.uniform(0.5, 5), 2)
    grown = [gaussian_filter(random.standard_normal((18, 20, 16)), 2.0 - 0.3 * seed) for _ in range(2)]
    masks = [field > np.quantile(field, 0.8) for field in grown]
    one, other = (torch.from_numpy(np.pad(mask, 1)[None, None].astype(np.float32)) for mask in masks)
    settings = {"include_background": True, "spacing": list(spacing)}
    nsd = 100 * float(compute_surface_dice(one, other, [tolerance], **settings))
    hd95 = float(compute_hausdorff_distance(one, other, percentile=95.0, **settings))
    assert surface_scores(*masks, Distance("mm", spacing), tolerance) == pytest.approx((nsd, hd95), rel=1e-5)
