"""Crops of the contextual-position task against brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from uscl_med3d.core.seeds import rng
from uscl_med3d.pretext.vcl import crops as vcl_crops
from uscl_med3d.selfsupervised.images import cut_crops

GRIDS = st.tuples(*[st.integers(1, 3)] * 3)
SHAPES = st.tuples(*[st.integers(3, 11)] * 3)
NO_CHANGE = {"flip_probability": 0.0, "rotate_probability": 0.0, "shift_probability": 0.0, "shift": 0.1}


def count_overlap(shape, random, base):
    """Share of each random crop in each base crop by marking voxels."""
    owner = np.full(shape, -1)
    for index, (d0, h0, w0, d1, h1, w1) in enumerate(base):
        owner[d0:d1, h0:h1, w0:w1] = index
    counted = []
    for d0, h0, w0, d1, h1, w1 in random:
        inside = owner[d0:d1, h0:h1, w0:w1]
        counted.append([(inside == index).mean() for index in range(len(base))])
    return np.array(counted)


@settings(max_examples=60, deadline=None)
@given(shape=SHAPES, grid=GRIDS, seed=st.integers(0, 10**6))
def test_labels_equal_voxel_counting(shape, grid, seed):
    base = vcl_crops.base_boxes(shape, grid)
    random = vcl_crops.random_boxes(shape, grid, 5, rng(seed, "test"))
    labels = vcl_crops.overlap_fractions(random, base)
    np.testing.assert_allclose(labels, count_overlap(shape, random, base), atol=1e-12)
    np.testing.assert_allclose(labels.sum(1), 1)


@settings(max_examples=30, deadline=None)
@given(shape=SHAPES, grid=GRIDS, seed=st.integers(0, 10**6))
def test_labels_of_boxes_of_any_size(shape, grid, seed):
    stream = rng(seed, "test")
    low = stream.integers(0, np.array(shape), size=(4, 3))
    high = stream.integers(low + 1, np.array(shape), size=(4, 3), endpoint=True)
    random, base = np.concatenate([low, high], 1), vcl_crops.base_boxes(shape, grid)
    np.testing.assert_allclose(
        vcl_crops.overlap_fractions(random, base), count_overlap(shape, random, base), atol=1e-12
    )


@settings(max_examples=30, deadline=None)
@given(shape=SHAPES, grid=GRIDS)
def test_base_crops_tile_the_volume(shape, grid):
    covered = np.zeros(shape, int)
    for d0, h0, w0, d1, h1, w1 in vcl_crops.base_boxes(shape, grid):
        covered[d0:d1, h0:h1, w0:w1] += 1
    assert (covered == 1).all()


@settings(max_examples=30, deadline=None)
@given(shape=SHAPES, grid=GRIDS, seed=st.integers(0, 10**6))
def test_random_crops_stay_inside_and_have_a_base_crop_s_size(shape, grid, seed):
    boxes = vcl_crops.random_boxes(shape, grid, 8, rng(seed, "test"))
    assert (boxes[:, :3] >= 0).all() and (boxes[:, 3:] <= np.array(shape)).all()
    assert (boxes[:, 3:] - boxes[:, :3] == np.array(shape) // np.array(grid)).all()


def test_random_crops_reach_both_ends():
    boxes = vcl_crops.random_boxes((4, 6, 6), (1, 2, 2), 400, rng(0, "test"))
    assert set(boxes[:, 1]) == set(boxes[:, 2]) == {0, 1, 2, 3} and set(boxes[:, 0]) == {0}


def test_labels_of_the_reference_boxes(shared):
    reference = load_file(shared / "reference/voco.tiny.safetensors")
    base = vcl_crops.base_boxes((64, 128, 128), (1, 2, 2))
    assert np.array_equal(base, reference["in/uscl_base_boxes"].numpy())
    labels = vcl_crops.overlap_fractions(reference["in/uscl_random_boxes"].numpy(), base)
    np.testing.assert_allclose(labels, reference["ref64/paper_uscl.labels_from_boxes"].numpy(), atol=1e-12)


def test_labels_of_the_published_crops(shared):
    """VoCo's public code: 96-voxel crops in a 384-voxel plane, 16 base crops."""
    reference = load_file(shared / "reference/voco.tiny.safetensors")
    base = vcl_crops.base_boxes((384, 384, 96), (4, 4, 1))
    bounds = reference["in/base_crop_bounds"].numpy()
    assert np.array_equal(base[:, [0, 3, 1, 4]], bounds)
    centres = reference["in/crop_centres_xy"].numpy()
    flat = np.zeros(len(centres), int)
    low = np.stack([centres[:, 0] - 48, centres[:, 1] - 48, flat], 1)
    labels = vcl_crops.overlap_fractions(np.concatenate([low, low + 96], 1), base)
    np.testing.assert_allclose(labels, reference["in/labels_24"].numpy(), atol=1e-6)


def test_volume_thinner_than_the_grid_is_refused():
    with pytest.raises(ValueError, match="base crops"):
        vcl_crops.base_boxes((5, 1, 5), (1, 2, 2))


def test_crops_show_their_box():
    d, h, w = torch.meshgrid(torch.arange(8.0), torch.arange(12.0), torch.arange(10.0), indexing="ij")
    volume = 100 * d + 10 * h + w
    boxes = np.array([[0, 4, 2, 8, 12, 10], [1, 0, 0, 5, 4, 4]])
    same, doubled = cut_crops(volume, boxes, 8)
    assert torch.equal(same[0], volume[:, 4:12, 2:10])
    # A linear ramp stays linear: half-voxel steps, at cell centres, away from the clamped border.
    expected = volume[1:5, :4, :4].mean()
    torch.testing.assert_close(doubled.mean(), expected)
    torch.testing.assert_close(doubled[0, 3, 3, 3] - doubled[0, 2, 2, 2], torch.tensor(55.5))


def test_crops_are_normalised_one_by_one():
    volume = torch.rand(6, 8, 8, generator=torch.Generator().manual_seed(0)) * 50 + 1
    volume[:, 4:] *= 3
    random, base, labels = vcl_crops.draw_crops(volume, (1, 2, 2), 3, 8, rng(1, "test"))
    assert random.shape == (3, 1, 8, 8, 8) and base.shape == (4, 1, 8, 8, 8) and labels.shape == (3, 4)
    torch.testing.assert_close(base.mean((1, 2, 3, 4)), torch.zeros(4), atol=1e-5, rtol=0)


def test_augmentation_off_is_the_identity():
    crops = torch.randn(3, 1, 4, 4, 4)
    assert torch.equal(vcl_crops.augment(crops, rng(0, "test"), **NO_CHANGE), crops)


@pytest.mark.parametrize("change", ["flip_probability", "rotate_probability", "shift_probability"])
def test_augmentation_changes_as_named(change):
    crops = torch.randn(4, 1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    result = vcl_crops.augment(crops, rng(0, "test"), **{**NO_CHANGE, change: 1.0})
    for before, after in zip(crops, result, strict=True):
        if change == "flip_probability":
            assert torch.equal(after, before.flip((1, 2, 3)))
        elif change == "rotate_probability":
            assert any(torch.equal(after, torch.rot90(before, turns, (2, 3))) for turns in (1, 2, 3))
        else:
            amount = after - before
            torch.testing.assert_close(amount, amount.mean().expand_as(amount))
            assert 0 < amount.mean().abs() <= 0.1
