"""Slices to the network's square and masks back: SAM's official numbers, and round trips."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from uscl_med3d.nets.sam.frame import LongestSideFrame, SquareFrame

KINDS = {
    "longest side": LongestSideFrame,
    "square, small ones padded": partial(SquareFrame, pads_small=True),
    "square": partial(SquareFrame, pads_small=False),
}


@pytest.fixture(scope="module")
def tensors(shared: Path) -> dict[str, torch.Tensor]:
    return load_file(shared / "reference" / "sam_vit_b.tiny.safetensors")


@pytest.fixture
def official(tensors) -> LongestSideFrame:
    return LongestSideFrame(tuple(tensors["in/raw_image_uint8"].shape[:2]), 128, 32)


def test_images_are_resized_normalised_and_padded_as_officially(tensors, official):
    image = tensors["in/raw_image_uint8"].permute(2, 0, 1)[None]
    resized = official.resize(image.float())[0].permute(1, 2, 0)
    assert torch.equal(resized, tensors["ref32/pre.resized_uint8"])
    placed = official.place_images(image.float())
    torch.testing.assert_close(placed, tensors["ref32/pre.normalised_padded"], rtol=1e-5, atol=1e-5)


def test_points_are_scaled_as_officially(tensors, official):
    row_column = tensors["in/raw_points_xy"].double().flip(-1)
    torch.testing.assert_close(
        official.place_points(row_column), tensors["ref64/pre.points_in_model_frame"].double()
    )


def test_masks_come_back_as_officially(tensors, official):
    for bits, tolerance in ((32, 1e-5), (64, 1e-10)):
        low = tensors[f"ref{bits}/points.masks_single"]
        expected = tensors[f"ref{bits}/post.masks_in_raw_frame"]
        found = official.restore_masks(low)
        assert float((found - expected).abs().max() / expected.abs().max()) < tolerance


@settings(max_examples=40, deadline=None)
@given(st.integers(5, 63), st.integers(5, 63), st.sampled_from(sorted(KINDS)))
def test_a_click_lands_on_the_pixel_it_means(height, width, kind):
    frame = KINDS[kind]((height, width), 64, 64)
    image = torch.full((1, 3, height, width), 130.0)  # above the mean, so above the padding too
    row, column = height // 2, width // 3
    image[:, :, row, column] = 255
    placed = frame.place_images(image)[0].sum(0)
    background = frame.place_images(torch.full_like(image, 130.0))[0].sum(0).max()
    ys, xs = torch.nonzero(placed > (placed.max() + background) / 2, as_tuple=True)
    x, y = frame.place_points(torch.tensor([float(row), float(column)])).tolist()
    assert abs(float(ys.double().mean()) - y) <= 64 / height
    assert abs(float(xs.double().mean()) - x) <= 64 / width


@pytest.mark.parametrize("size", [(45, 60), (60, 45), (100, 80), (64, 64)])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_masks_have_the_size_of_the_slice_and_keep_their_place(kind, size):
    frame = KINDS[kind](size, 64, 64)
    image = torch.zeros(1, 3, *size)
    image[:, :, size[0] // 4 : size[0] // 2, size[1] // 2 : size[1] * 3 // 4] = 255
    mask = (frame.place_images(image)[:, :1] > 1).float() * 2 - 1
    back = frame.restore_masks(mask)[0, 0] > 0
    truth = image[0, 0] > 0
    assert back.shape == truth.shape
    dice = 2 * (back & truth).sum() / (back.sum() + truth.sum())
    assert dice > 0.9
