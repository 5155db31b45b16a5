"""Resampling in the image plane and along the sweep."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uscl_med3d.data.resample import (
    Grid,
    PlaneResampler,
    area_weights,
    frame_weights,
    plan_axis,
    plan_frames,
    shrink,
)

STEPS = st.floats(0.3, 9.0, allow_nan=False)


def grid(**changes) -> Grid:
    values = {
        "frame_step": 1.0,
        "frame_size": 1,
        "h_start_px": 0.0,
        "h_step_px": 2.0,
        "h_size": 4,
        "w_start_px": 0.0,
        "w_step_px": 2.0,
        "w_size": 4,
    }
    return Grid(**(values | changes))


@given(start=st.integers(0, 30), length=st.integers(1, 80), step=STEPS)
def test_axis_covers_its_range_and_is_centred_on_it(start: int, length: int, step: float) -> None:
    first, size = plan_axis(start, start + length, step)
    last = first + size * step
    assert first <= start + 1e-5 * step
    assert last >= start + length - 1e-5 * step
    assert size * step < length + step
    assert (first + last) / 2 == pytest.approx(start + length / 2)


@given(source=st.integers(1, 60), step=STEPS)
def test_weights_share_out_every_source_pixel_once(source: int, step: float) -> None:
    first, size = plan_axis(0, source, step)
    weights = area_weights(source, first, step, size).toarray() * step
    np.testing.assert_allclose(weights.sum(0), 1, atol=1e-4)
    np.testing.assert_allclose(weights.sum(1)[1:-1], step, rtol=1e-4)


def test_shrink_is_the_block_mean() -> None:
    image = np.arange(48, dtype=np.float32).reshape(6, 8)
    found = shrink(image, area_weights(6, 0, 2, 3), area_weights(8, 0, 4, 2))
    np.testing.assert_allclose(found, image.reshape(3, 2, 2, 4).mean((1, 3)))


def test_furniture_beside_the_fan_does_not_bleed_in() -> None:
    fan = np.zeros((8, 8), bool)
    fan[:, :5] = True
    frame = np.where(fan, 100, 255)
    resampler = PlaneResampler(fan, grid())
    image = resampler.to_uint8(resampler.grey(frame))
    # The third column of pixels is half fan, half furniture: it shows the fan's value alone.
    np.testing.assert_array_equal(image, np.array([[100, 100, 100, 0]] * 4))


def test_black_inside_the_fan_differs_from_outside() -> None:
    fan = np.ones((8, 8), bool)
    fan[:4] = False
    resampler = PlaneResampler(fan, grid())
    image = resampler.to_uint8(resampler.grey(np.zeros((8, 8))))
    np.testing.assert_array_equal(image[:, 0], [0, 0, 1, 1])


@given(seed=st.integers(0, 10_000), step=st.floats(1.0, 4.0))
def test_label_map_is_the_majority_by_area(seed: int, step: float) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.choice(np.array([0, 2, 5], np.uint8), (9, 9))
    first, size = plan_axis(0, 9, step)
    axis = {"h_start_px": first, "h_step_px": step, "h_size": size}
    axis |= {"w_start_px": first, "w_step_px": step, "w_size": size}
    resampler = PlaneResampler(np.ones((9, 9), bool), grid(**axis))
    found = resampler.label_map([mask], [1.0])
    i, j = rng.integers(0, size, 2)
    area = {value: 0.0 for value in (0, 2, 5)}
    for r in range(9):
        for c in range(9):
            rows = min(first + (i + 1) * step, r + 1) - max(first + i * step, r)
            columns = min(first + (j + 1) * step, c + 1) - max(first + j * step, c)
            area[int(mask[r, c])] += max(rows, 0) * max(columns, 0)
    assert area[int(found[i, j])] >= max(area.values()) - 1e-4


def test_equal_areas_go_to_background() -> None:
    mask = np.zeros((8, 8), np.uint8)
    mask[:, ::2] = 4
    found = PlaneResampler(np.ones((8, 8), bool), grid()).label_map([mask], [1.0])
    assert not found.any()


@given(frames=st.integers(1, 300), limit=st.integers(1, 128))
def test_reduction_keeps_all_time_evenly(frames: int, limit: int) -> None:
    step, size = plan_frames(frames, limit)
    assert size == min(frames, limit)
    weights = frame_weights(frames, grid(frame_step=step, frame_size=size), "average").toarray()
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-4)
    np.testing.assert_allclose(weights.sum(0), 1 / step, atol=1e-4)


@given(frames=st.integers(1, 200), limit=st.integers(1, 64))
def test_picked_frame_lies_in_its_own_voxel(frames: int, limit: int) -> None:
    step, size = plan_frames(frames, limit)
    axis = grid(frame_step=step, frame_size=size)
    weights = frame_weights(frames, axis, "pick")
    for i, frame in enumerate(weights.indices):
        assert axis.index_of(int(frame)) == i or axis.off_centre(int(frame)) == pytest.approx(
            step / 2, abs=0.51
        )
    assert (weights.sum(1) == 1).all()


@given(frames=st.integers(1, 200), limit=st.integers(1, 64))
def test_every_frame_has_a_voxel(frames: int, limit: int) -> None:
    step, size = plan_frames(frames, limit)
    axis = grid(frame_step=step, frame_size=size)
    indices = [axis.index_of(frame) for frame in range(frames)]
    assert indices == sorted(indices)
    assert set(indices) == set(range(size))
