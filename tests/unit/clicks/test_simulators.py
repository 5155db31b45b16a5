"""Click simulators against the official ones, and their properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from uscl_med3d.clicks.simulators import SIMULATORS, draw_first_click, largest_error_centre, random_error


class OfficialDraws:
    """Draws as the official code does: NumPy's legacy generator."""

    def __init__(self, seed: int) -> None:
        self.state = np.random.RandomState(seed)

    def integers(self, high: int) -> int:
        return int(self.state.randint(high))


@pytest.fixture(scope="module")
def reference(shared):
    return load_file(shared / "reference" / "losses_and_clicks.tiny.safetensors")


@pytest.mark.parametrize(("name", "simulator"), [("random", random_error), ("ritm", largest_error_centre)])
def test_draws_equal_the_official_ones(name, simulator, reference):
    prediction, truth = reference["in/logits"][0, 0] > 0.5, reference["in/gt"][0, 0] > 0
    random = OfficialDraws(7)
    clicks = np.array([simulator(prediction, truth, random) for _ in range(12)])
    np.testing.assert_array_equal(clicks[:, :3], reference[f"ref32/clicks.{name}.points_dhw"])
    np.testing.assert_array_equal(clicks[:, 3], reference[f"ref32/clicks.{name}.labels"])


@pytest.mark.parametrize(
    ("region", "simulator"),
    [("error_region_random", random_error), ("candidate_region_ritm", largest_error_centre)],
)
def test_every_candidate_and_no_other_voxel_is_drawn(region, simulator, reference):
    prediction, truth = reference["in/logits"][0, 0] > 0.5, reference["in/gt"][0, 0] > 0

    class InOrder:
        def __init__(self) -> None:
            self.next, self.count = 0, None

        def integers(self, high: int) -> int:
            self.count, self.next = high, self.next + 1
            return self.next - 1

    order, drawn = InOrder(), np.zeros(truth.shape, np.uint8)
    drawn[simulator(prediction, truth, order)[:3]] = 1
    for _ in range(order.count - 1):
        drawn[simulator(prediction, truth, order)[:3]] = 1
    np.testing.assert_array_equal(drawn, reference[f"ref32/{region}"][0, 0])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(sorted(SIMULATORS)))
def test_a_click_lies_on_an_error_and_names_it(seed, name):
    random = np.random.default_rng(seed)
    shape = tuple(random.integers(2, 7, 3))
    prediction, truth = random.random(shape) < 0.4, random.random(shape) < 0.4
    click = SIMULATORS[name](prediction, truth, random)
    if click is None:
        assert (prediction == truth).all()
    else:
        assert prediction[click[:3]] != truth[click[:3]]
        assert click[3] == truth[click[:3]]


@pytest.mark.parametrize("name", sorted(SIMULATORS))
def test_nothing_wrong_gives_no_click(name):
    mask = np.ones((3, 3, 3), bool)
    assert SIMULATORS[name](mask, mask.copy(), np.random.default_rng(0)) is None


def test_thickest_error_wins():
    truth, prediction = np.zeros((12, 12, 12), bool), np.zeros((12, 12, 12), bool)
    truth[1:6, 1:6, 1:6] = True  # missed, five voxels thick
    prediction[8:10, 8:10, 8:10] = True  # surplus, two voxels thick
    d, h, w, label = largest_error_centre(prediction, truth, np.random.default_rng(0))
    assert label == 1 and all(1 < at < 5 for at in (d, h, w))


def test_first_click_is_uniform_in_the_target_and_needs_one():
    target = np.zeros((3, 4, 5), bool)
    target[1, 2, 3] = target[0, 0, 0] = True
    random = np.random.default_rng(0)
    drawn = [draw_first_click(target, random) for _ in range(200)]
    assert set(drawn) == {(1, 2, 3, 1), (0, 0, 0, 1)}
    assert 60 < drawn.count((0, 0, 0, 1)) < 140
    with pytest.raises(ValueError, match="non-empty"):
        draw_first_click(np.zeros((2, 2, 2), bool), random)
