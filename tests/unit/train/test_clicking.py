"""The schedule, the clicks between passes, and validation."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from tiny_cohort import tiny_params

from uscl_med3d.train.clicking import add_clicks, draw_objects
from uscl_med3d.train.crops import CropReference, CropSource, Target
from uscl_med3d.train.engine import scheduled_rate
from uscl_med3d.train.validation import choose_validation_crops, validate


def test_rate_warms_up_and_falls_to_its_floor():
    schedule = tiny_params(
        finetune__steps=100, finetune__warmup_steps=10, finetune__final_learning_rate=0.1
    ).finetune
    rates = [scheduled_rate(step, schedule, 2.0) for step in range(100)]
    assert rates[0] == pytest.approx(0.2) and max(rates) == pytest.approx(2.0) == pytest.approx(rates[9])
    assert all(a > b for a, b in pairwise(rates[10:]))
    assert 0.2 < rates[-1] < 0.21


def test_clicks_fall_on_known_errors_and_pad_where_nothing_is_wrong():
    truth = np.zeros((2, 1, 4, 4, 4), np.uint8)
    truth[0, 0, 1, 2, 3] = 1
    truth[:, 0, 0] = 255
    prediction = torch.zeros(2, 1, 4, 4, 4, dtype=torch.bool)
    prediction[:, 0, 0] = True  # wrong or not, nobody knows
    points, labels = torch.zeros(2, 1, 3), torch.ones(2, 1, dtype=torch.long)
    points, labels = add_clicks(points, labels, prediction, truth, "random_error", np.random.default_rng(0))
    assert points[0, 1].tolist() == [1, 2, 3] and labels[0].tolist() == [1, 1]
    assert labels[1].tolist() == [1, -1]


class Oracle:
    """Predicts the truth in a crop of ones and twos."""

    network = torch.nn.Identity()

    def encode(self, crops):
        return crops

    def click(self, state, points, labels):
        return state - 1.5


def test_validation_is_a_mean_over_classes():
    label = np.ones((8, 8, 8), np.uint8)
    label[:, :, 4:] = 2
    source = CropSource(lambda case: (label.astype(np.float32), label), 8, 1)
    crops = [
        CropReference(Target("a", name, value), (1, 1, 1 if value == 1 else 6))
        for name, value in (("one", 1), ("two", 2), ("two", 2))
    ]
    told = {"clicks": 2, "simulator": "random_error", "seeds": (0,)}
    assert validate(Oracle(), source, crops, **told) == pytest.approx(50.0)
    assert np.isnan(validate(Oracle(), source, [], **told))


def test_validation_with_another_image_shows_what_is_not_seen():
    """Two crops whose images are their own truths: with the other's image the oracle is wrong everywhere."""
    first, second = np.zeros((8, 8, 8), np.uint8), np.zeros((8, 8, 8), np.uint8)
    first[:4], second[4:] = 1, 1
    cases = {"a": first, "b": second}
    source = CropSource(lambda case: (cases[case].astype(np.float32) + 1, cases[case]), 8, 2)
    crops = [CropReference(Target(name, "one", 1), at) for name, at in (("a", (1, 1, 1)), ("b", (6, 1, 1)))]
    told = {"clicks": 1, "simulator": "random_error", "seeds": (0,)}
    assert validate(Oracle(), source, crops, **told) == 100.0
    assert validate(Oracle(), source, crops, **told, other_image=True) == 0.0


def test_objects_of_a_crop_the_first_whatever_its_size():
    label = np.zeros((6, 6, 6), np.uint8)
    label[0, 0, 0], label[1, :2, :2], label[3:], label[2] = 1, 2, 3, 255
    crops = [(label.astype(np.float32), label, [(1,), (2,), (3,)])]
    batch = draw_objects(crops, per_crop=3, min_voxels=10, random=np.random.default_rng(0))
    assert batch.owner.tolist() == [0, 0] and batch.images.shape == (1, 1, 6, 6, 6)
    assert [(truth == 1).sum() for truth in batch.objects.truth] == [1, 108]
    assert (batch.objects.truth[:, 0, 2] == 255).all()
    assert batch.objects.first_clicks[0].tolist() == [0, 0, 0] and batch.objects.first_clicks[1][0] >= 3


def test_validation_crops_take_classes_in_turn():
    label = np.zeros((8, 8, 8), np.uint8)
    label[:2], label[4:6] = 1, 2
    source = CropSource(lambda case: (label, label), 8, 1)
    targets = [Target(f"c{i}", "one", 1) for i in range(6)] + [Target("c0", "two", 2)]
    crops = choose_validation_crops(source, targets, 3, 0, "x")
    assert sorted(crop.target.name for crop in crops) == ["one", "one", "two"]
    assert choose_validation_crops(source, list(reversed(targets)), 0, 0, "x") == []
    assert len(choose_validation_crops(source, targets, 99, 0, "x")) == 7
