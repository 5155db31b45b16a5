"""Clicks in every slice of a volume: where they fall, what they cost, and what becomes of a solved slice."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from uscl_med3d.evaluate.cases import Distance, Item
from uscl_med3d.evaluate.protocol import Setting
from uscl_med3d.evaluate.slices import click_through_slices

SEED = 5
SETTING = Setting("slice", "random_error", 0)


class Painter:
    """Marks what was clicked as object, and remembers everything that it was given.

    With `reveal` (d, h, w) it knows the answer from the second click on.
    """

    def __init__(self, reveal=None):
        self.reveal, self.embedded, self.clicks = reveal, [], []

    def prepare(self, volume):
        return volume[:, None].expand(-1, 3, -1, -1)

    def embed(self, images):
        self.embedded += images[:, 0, 0, 0].tolist()
        return images[:, 0]

    def start(self, embedding, size):
        assert embedding.shape[1:] == size
        return embedding

    def click(self, state, points, labels):
        self.clicks.append((points.clone(), labels.clone()))
        n, h, w = state.shape
        logits = torch.full((n, 1, h, w), -1.0)
        for row in range(n):
            for (y, x), label in zip(points[row].long().tolist(), labels[row].tolist(), strict=True):
                if label == 1:
                    logits[row, 0, y, x] = 1.0
            if self.reveal is not None and points.shape[1] > 1:
                logits[row, 0] = torch.from_numpy(self.reveal[int(state[row, 0, 0])]).float() - 0.5
        return logits


def make_item(truth, name="liver", known=None):
    image = np.broadcast_to(np.arange(truth.shape[0], dtype=np.float32)[:, None, None], truth.shape).copy()
    return Item(
        dataset="us",
        split="test",
        patient="p",
        case="c",
        name=name,
        image=image,
        truth=truth,
        known=known,
        reference="true_mask",
        held_out=None,
        distance=Distance("voxel", (1.0, 1.0, 1.0)),
    )


def make_truth(seed=0):
    truth = np.zeros((6, 8, 9), dtype=bool)
    truth[1:4, 2:6, 3:7] = np.random.default_rng(seed).random((3, 4, 4)) < 0.8
    return truth


def run(method, items, clicks=3, setting=SETTING):
    job = SimpleNamespace(seed=SEED, evaluate=SimpleNamespace(clicks=clicks))
    return list(click_through_slices(method, items, setting, job))


def test_slices_without_the_target_get_no_click_and_stay_background():
    truth, method = make_truth(), Painter()
    predictions = run(method, [make_item(truth)])
    assert sorted(method.embedded) == [1.0, 2.0, 3.0]
    for prediction in predictions:
        assert not prediction.region.mask[[0, 4, 5]].any()
        assert prediction.region.mask.shape == truth.shape


def test_first_clicks_lie_on_the_target_and_later_ones_on_errors():
    truth, method = make_truth(), Painter()
    predictions = run(method, [make_item(truth)], clicks=4)
    for number, (points, labels) in enumerate(method.clicks, start=1):
        assert points.shape == (3, number, 2)
        for row in range(3):
            h, w = points[row, -1].long().tolist()
            # The painter never marks too much, so every error is a missed pixel.
            assert truth[1 + row, h, w]
            assert labels[row, -1] == 1
            if number > 1:
                assert not predictions[number - 2].region.mask[1 + row, h, w]


def test_clicks_of_the_whole_volume_are_counted():
    predictions = run(Painter(), [make_item(make_truth())])
    assert [prediction.number for prediction in predictions] == [1, 2, 3]
    assert [prediction.volume_clicks for prediction in predictions] == [3, 6, 9]


def test_a_solved_slice_gets_no_more_clicks_and_keeps_its_mask():
    truth = make_truth()
    wrong_later = truth.copy()
    method = Painter(reveal=wrong_later)
    predictions = run(method, [make_item(truth)], clicks=5)
    np.testing.assert_array_equal(predictions[1].region.mask, truth)
    assert [prediction.volume_clicks for prediction in predictions] == [3, 6, 6, 6, 6]
    assert (method.clicks[-1][1][:, 2:] == -1).all()
    np.testing.assert_array_equal(predictions[-1].region.mask, truth)


def test_a_solved_slice_keeps_its_mask_whatever_the_method_says_next():
    truth = make_truth()

    class Fickle(Painter):
        def click(self, state, points, labels):
            logits = super().click(state, points, labels)
            return logits if points.shape[1] == 2 else -torch.ones_like(logits)

    predictions = run(Fickle(reveal=truth), [make_item(truth)], clicks=4)
    np.testing.assert_array_equal(predictions[-1].region.mask, truth)


def test_each_slice_is_embedded_once_for_all_classes_of_a_volume():
    first, second = make_truth(0), make_truth(1)
    second[4, 3, 3] = True
    method, item = Painter(), make_item(first)
    other = make_item(second, "spleen")
    object.__setattr__(other, "image", item.image)
    run(method, [item, other])
    assert sorted(method.embedded) == [1.0, 2.0, 3.0, 4.0]


def test_clicks_do_not_depend_on_what_else_is_scored():
    method, alone = Painter(), Painter()
    run(method, [make_item(make_truth(1), "spleen"), make_item(make_truth())])
    run(alone, [make_item(make_truth())])
    for (points, labels), (expected_points, expected_labels) in zip(
        method.clicks[3:], alone.clicks, strict=True
    ):
        assert torch.equal(points, expected_points)
        assert torch.equal(labels, expected_labels)


@pytest.mark.parametrize("simulator", ["random_error", "largest_error_centre"])
def test_no_click_falls_where_the_truth_is_unknown(simulator):
    truth = make_truth()
    known = np.ones_like(truth)
    known[2] = False
    truth[2] = False

    class Everything(Painter):
        def click(self, state, points, labels):
            super().click(state, points, labels)
            return torch.ones(state.shape[0], 1, *state.shape[1:])

    method = Everything()
    known[:, :, 0] = False
    run(method, [make_item(truth, known=known)], clicks=6, setting=Setting("slice", simulator, 0))
    points, labels = method.clicks[-1]
    assert points.shape[0] == 2
    assert (points[..., 1][labels == 0] > 0).all()
