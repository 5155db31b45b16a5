from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uscl_med3d.propagation.alternatives import copy_nearest_key_frame, interpolate_shapes, signed_distance
from uscl_med3d.propagation.prompts import choose_prompts, count_frames_outside, weigh_prompts


def stripe(first: int, last: int, label: int = 1, width: int = 9) -> np.ndarray:
    row = np.zeros((1, width), dtype=np.uint8)
    row[0, first : last + 1] = label
    return row


def test_signed_distance_of_a_stripe() -> None:
    np.testing.assert_allclose(
        signed_distance(stripe(3, 5).astype(bool))[0], [-2.5, -1.5, -0.5, 0.5, 1.5, 0.5, -0.5, -1.5, -2.5]
    )
    assert signed_distance(np.zeros((2, 2), dtype=bool)) is None


def test_interpolation_moves_a_stripe_by_the_share_of_the_way() -> None:
    # Half-way between pixels 0-4 and 4-8 the mean of the maps is positive on 2-6 only.
    volume = interpolate_shapes({0: stripe(0, 4), 2: stripe(4, 8)}, 3)
    # At pixel 2: (2.5 + (-1.5)) / 2 = 0.5; at pixel 1: (3.5 - 2.5) / 2 = 0.5; at 0: (4.5 - 3.5) / 2 = 0.5.
    np.testing.assert_array_equal(volume[1], stripe(0, 8))
    # A quarter of the way from 3-5 to 2-6: at pixel 2, 0.75 * -0.5 + 0.25 * 0.5 = -0.25, still outside.
    volume = interpolate_shapes({0: stripe(3, 5), 4: stripe(2, 6)}, 5)
    np.testing.assert_array_equal(volume[1], stripe(3, 5))
    np.testing.assert_array_equal(volume[3], stripe(2, 6))


def test_a_shape_that_ends_is_gone_half_way_and_copied_outside() -> None:
    volume = interpolate_shapes({2: stripe(2, 6), 6: stripe(0, -1)}, 9)
    areas = (volume > 0).sum(axis=(1, 2)).tolist()
    assert areas == [5, 5, 5, 3, 0, 0, 0, 0, 0]


def test_nearest_key_frame_prefers_the_earlier_one() -> None:
    volume = copy_nearest_key_frame({1: stripe(0, 0), 3: stripe(8, 8)}, 5)
    np.testing.assert_array_equal(volume[2], stripe(0, 0))
    np.testing.assert_array_equal(volume[4], stripe(8, 8))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 30), st.sets(st.integers(0, 30), min_size=1, max_size=5), st.integers(1, 4))
def test_prompts_enclose_the_frame_where_they_can(frame: int, keys: set[int], count: int) -> None:
    keys = keys - {frame}
    if not keys:
        return
    chosen = choose_prompts(frame, sorted(keys), count)
    assert len(chosen) == min(count, len(keys)) == len(set(chosen))
    if count >= 2 and count_frames_outside(frame, sorted(keys)) == 0:
        assert min(chosen) < frame < max(chosen)
    for rule in ("equal", "inverse_distance"):
        weights = weigh_prompts(frame, chosen, rule)
        assert weights.sum() == pytest.approx(1) and (np.diff(weights) <= 1e-12).all()


def test_inverse_distance_is_linear_between_two_key_frames() -> None:
    np.testing.assert_allclose(weigh_prompts(3, [2, 6], "inverse_distance"), [0.75, 0.25])
    np.testing.assert_allclose(weigh_prompts(3, [2, 6], "equal"), [0.5, 0.5])
