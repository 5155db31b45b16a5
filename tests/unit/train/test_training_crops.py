"""The training list: what is in it, and what is ignored."""

from __future__ import annotations

import numpy as np
import pytest

from uscl_med3d.train.crops import CropSource, Target, draw_balanced, draw_crop_list


@pytest.fixture
def source():
    image = np.arange(20 * 12 * 9).reshape(20, 12, 9).astype(np.uint8)
    label = np.zeros((20, 12, 9), np.uint8)
    label[3:9, 2:7, 1:6] = 3
    label[12:14, 5:8, 4:6] = 5
    label[18:] = 255
    return CropSource({"a": (image, label), "b": (image, np.zeros_like(label))}.__getitem__, 8, 2)


def test_targets_are_classes_that_are_large_enough(source):
    classes = {"liver": 3, "kidney": 5, "spleen": 4}
    assert source.find_targets(["b", "a"], classes, 5) == [Target("a", "kidney", 5), Target("a", "liver", 3)]
    assert source.find_targets(["b", "a"], classes, 50) == [Target("a", "liver", 3)]
    assert [target.value for target in source.find_targets(["a"], None, 5)] == [3, 5]


def test_batch_marks_object_other_and_unknown(source):
    targets = source.find_targets(["a"], {"liver": 3, "kidney": 5}, 5)
    crops = draw_crop_list(source, targets, 4, 1, "test")
    batch = source.cut_batch(crops)
    assert batch.images.shape == batch.truth.shape == (8, 1, 8, 8, 8)
    for index, crop in enumerate(crops):
        assert batch.truth[(index, 0, *batch.first_clicks[index])] == 1
        image, label = source.load("a")
        assert batch.images[(index, 0, *batch.first_clicks[index])] == image[crop.voxel]
        assert label[crop.voxel] == crop.target.value
    near_end = source.cut_batch([c for c in crops if c.target.name == "kidney"])
    assert set(np.unique(near_end.truth)) <= {0, 1, 255}


def test_outside_the_volume_is_unknown():
    label = np.ones((4, 4, 4), np.uint8)
    small = CropSource(lambda case: (label, label), 8, 1)
    batch = small.cut_batch(draw_crop_list(small, [Target("a", "x", 1)], 1, 0))
    assert (batch.truth == 1).sum() == 64 and (batch.truth == 255).sum() == 8**3 - 64
    assert batch.images.sum() == 64


def test_crops_of_a_target_do_not_depend_on_other_targets(source):
    targets = source.find_targets(["a"], {"liver": 3, "kidney": 5}, 5)
    both = draw_crop_list(source, targets, 3, 7, "x")
    assert draw_crop_list(source, targets[1:], 3, 7, "x") == both[3:]
    assert draw_crop_list(source, targets[1:], 3, 8, "x") != both[3:]


def test_small_classes_are_drawn_as_often_as_large_ones():
    groups = {"large": list(range(100)), "small": [100]}
    drawn = draw_balanced(groups, 2000, np.random.default_rng(0))
    assert 900 < drawn.count(100) < 1100
