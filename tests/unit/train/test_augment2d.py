"""Augmentations of SAMUS and SAMed equal the official images, seed by seed."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from uscl_med3d.train.augment2d import OFFICIAL, augment_samed, augment_samus, prepare_samus

SMALL = dataclasses.replace(OFFICIAL, image_size=32, low_size=16)


@pytest.fixture(scope="module")
def samus(shared: Path) -> dict[str, np.ndarray]:
    return load_file(shared / "reference" / "samus_augment.tiny.safetensors")


def test_training_items_of_samus_are_official(samus):
    for seed in range(12):
        found = augment_samus(
            samus["in/image_uint8"],
            samus["in/mask_uint8"],
            SMALL,
            np.random.RandomState(seed),
            torch.Generator().manual_seed(seed),
        )
        for value, name in zip(found, ("image", "mask", "low_mask"), strict=True):
            assert np.array_equal(value, samus[f"ref32/out.{name}"][seed]), f"{name} of seed {seed}"


def test_validation_items_of_samus_are_official(samus):
    image, mask, low = prepare_samus(samus["in/image_uint8"], samus["in/mask_uint8"], SMALL)
    assert np.array_equal(image, samus["ref32/val.image"][0])
    assert np.array_equal(mask, samus["ref32/val.mask"]) and np.array_equal(low, samus["ref32/val.low_mask"])


def test_training_items_of_samed_are_official(shared):
    tensors = load_file(shared / "reference" / "samed.tiny.safetensors")
    for seed in range(8):
        found = augment_samed(
            tensors["in/aug_image"],
            tensors["in/aug_label"],
            24,
            12,
            random.Random(seed),
            np.random.RandomState(seed),
        )
        assert np.allclose(found[0], tensors["ref32/aug.image"][seed], atol=1e-6)
        assert np.array_equal(found[1], tensors["ref32/aug.label"][seed])
        assert np.array_equal(found[2], tensors["ref32/aug.low_res_label"][seed])
