"""Clicks and boxes of SAMUS equal the official draws."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from uscl_med3d.clicks.images2d import fixed_click, random_box, random_click, tight_box


@pytest.fixture(scope="module")
def tensors(shared: Path) -> dict[str, np.ndarray]:
    return load_file(shared / "reference" / "samus_losses_metrics.tiny.safetensors")


@pytest.mark.parametrize("label", [1, 2, 3])
def test_clicks_and_boxes_are_official(tensors, label):
    mask = tensors["in/mask256_uint8"]
    assert fixed_click(mask, label) == tuple(tensors[f"ref32/clicks.fixed_class{label}"][0])
    rng, chooser = np.random.RandomState(5), random.Random(9)
    for expected in tensors[f"ref32/clicks.random_class{label}"]:
        assert random_click(mask, label, rng) == tuple(expected)
    assert tight_box(mask, label) == tuple(tensors[f"ref32/boxes.fixed_class{label}"])
    for expected in tensors[f"ref32/boxes.random_class{label}"]:
        assert random_box(mask, label, chooser) == tuple(expected)
