"""Crop geometry: inside the volume where possible, padded where not, and back on the grid."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uscl_med3d.clicks import crops

SHAPES = st.tuples(*[st.integers(1, 20)] * 3)


@settings(max_examples=100, deadline=None)
@given(SHAPES, st.integers(2, 12), st.data())
def test_first_click_crop_contains_the_click_and_wastes_nothing(shape, size, data):
    voxel = tuple(data.draw(st.integers(0, length - 1)) for length in shape)
    origin = crops.centre_crop_on(voxel, shape, size)
    assert crops.contains(origin, size, voxel)
    for start, length in zip(origin, shape, strict=True):
        if length >= size:
            assert 0 <= start <= length - size
        else:
            assert start <= 0 and start + size >= length
    inside = crops.to_crop(voxel, origin)
    assert all(0 <= at < size for at in inside)
    assert crops.to_volume(inside, origin) == voxel


@settings(max_examples=100, deadline=None)
@given(SHAPES, st.integers(2, 12), st.data())
def test_cut_and_paste_are_inverse_on_the_common_part(shape, size, data):
    origin = tuple(data.draw(st.integers(-size - 1, length + 1)) for length in shape)
    volume = np.arange(1, np.prod(shape) + 1).reshape(shape)
    crop = crops.cut(volume, origin, size, fill=-7)
    assert crop.shape == (size,) * 3
    back = np.zeros_like(volume)
    crops.paste(crop, back, origin)
    seen = back != 0
    assert (back[seen] == volume[seen]).all()
    assert seen.sum() == (crop != -7).sum()
    grid = np.stack(np.indices(shape), -1)
    expected = ((grid >= np.array(origin)) & (grid < np.array(origin) + size)).all(-1)
    np.testing.assert_array_equal(seen, expected)


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.integers(2, 12), st.floats(0, 0.8))
def test_tiles_cover_the_volume_with_the_overlap(shape, size, overlap):
    origins = crops.tile_crops(shape, size, overlap)
    assert len(set(origins)) == len(origins)
    count = np.zeros(shape, int)
    for origin in origins:
        crops.paste(np.ones((size,) * 3, int), volume := np.zeros(shape, int), origin)
        count += volume
    assert count.min() >= 1
    for axis in range(3):
        starts = sorted({origin[axis] for origin in origins})
        assert all(b - a <= max(1, int(size * (1 - overlap))) for a, b in pairwise(starts))


def test_box_of_a_mask():
    mask = np.zeros((30, 30, 30), bool)
    mask[10:15, 20, 2:5] = True
    assert crops.find_box(mask) == ((10, 20, 2), (14, 20, 4))
    with pytest.raises(ValueError, match="empty mask"):
        crops.find_box(np.zeros((3, 3, 3), bool))
