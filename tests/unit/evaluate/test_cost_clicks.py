"""Clicks of the cost measurement on targets of every size."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from uscl_med3d.clicks.crops import centre_crop_on, contains
from uscl_med3d.evaluate.cost import Subject, _ball, make_clicks

SIDE = 16


def draw(target: np.ndarray) -> list[tuple[int, int, int, int]]:
    job = SimpleNamespace(seed=1, evaluate=SimpleNamespace(clicks=10), model=SimpleNamespace(image_size=SIDE))
    return make_clicks(Subject("case", "name", np.zeros(target.shape, np.uint8), target, None), job)


def box(shape: tuple[int, int, int], *sides: slice) -> np.ndarray:
    target = np.zeros(shape, bool)
    target[sides] = True
    return target


TARGETS = {
    "larger than the crop": box((40, 50, 60), slice(1, 39), slice(2, 48), slice(3, 57)),
    "the whole volume": np.ones((40, 20, 17), bool),
    "one voxel": box((40, 50, 60), slice(7, 8), slice(9, 10), slice(11, 12)),
    "at a corner": box((40, 50, 60), slice(38, 40), slice(48, 50), slice(58, 60)),
    "thinner than the crop": box((3, 50, 60), slice(0, 3), slice(0, 50), slice(0, 60)),
}


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_every_click_lies_on_the_target_and_in_the_crop(name):
    target = TARGETS[name]
    clicks = draw(target)
    origin = centre_crop_on(clicks[0][:3], target.shape, SIDE)
    assert len(clicks) == 10 and all(target[click[:3]] and click[3] == 1 for click in clicks)
    assert all(contains(origin, SIDE, click[:3]) for click in clicks)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 40, 40), (2, 40, 41), (40, 40, 40)])
def test_the_stand_in_target_is_never_empty(shape):
    assert _ball(shape).any()
