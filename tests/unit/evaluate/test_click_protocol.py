"""The protocol of methods that take clicks in a crop: where crops lie, where clicks fall, and when they end."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from uscl_med3d.clicks.crops import centre_crop_on
from uscl_med3d.evaluate.cases import Distance, Item
from uscl_med3d.evaluate.protocol import Setting, click_through

SHAPE, SIZE = (30, 32, 34), 16
BOX = (slice(10, 20), slice(11, 21), slice(12, 22))


class Answer:
    """A method that answers every click by a rule of its own: `rule(crop, labels)` -> bool (s, s, s)."""

    def __init__(self, rule):
        self.rule = rule

    def place_crop(self, first, last, shape, size):
        return centre_crop_on(tuple((a + b) // 2 for a, b in zip(first, last, strict=True)), shape, size)

    def encode(self, crops):
        return crops

    def click(self, state, points, labels):
        masks = [self.rule(crop[0], given.tolist()) for crop, given in zip(state, labels, strict=True)]
        return torch.stack(masks)[:, None].float() - 0.5


def nothing(crop, labels):
    return torch.zeros_like(crop, dtype=torch.bool)


def everything(crop, labels):
    return torch.ones_like(crop, dtype=torch.bool)


def make_item(case="c", name="liver", known=None):
    truth = np.zeros(SHAPE, bool)
    truth[BOX] = True
    return Item(
        dataset="us",
        split="test",
        patient="p",
        case=case,
        name=name,
        image=truth.astype(np.uint8),
        truth=truth if known is None else truth & known,
        known=known,
        reference="true_mask",
        held_out=None,
        distance=Distance("voxel", (1.0, 1.0, 1.0)),
    )


def run(rule, items, crop="first_click", click_seed=0, clicks=3):
    job = SimpleNamespace(
        seed=5, model=SimpleNamespace(image_size=SIZE), evaluate=SimpleNamespace(clicks=clicks)
    )
    return list(click_through(Answer(rule), items, Setting(crop, "random_error", click_seed), job))


@pytest.mark.parametrize("click_seed", range(4))
def test_the_crop_lies_around_the_click_and_only_the_oracles_around_the_truth(click_seed):
    first = run(nothing, [make_item()], "first_click", click_seed, 1)[0]
    assert first.region.origin == tuple(at - SIZE // 2 for at in first.click[:3])
    assert make_item().truth[first.click[:3]]
    oracle = run(nothing, [make_item()], "oracle", click_seed, 1)[0]
    assert oracle.click == first.click
    assert oracle.region.origin == (14 - SIZE // 2, 15 - SIZE // 2, 16 - SIZE // 2)


def test_every_case_class_and_click_seed_draws_its_own_clicks():
    """Streams that were shared would click at one and the same place of the same error."""
    made = {
        "cases": run(nothing, [make_item(case=f"c{number}") for number in range(8)], "oracle"),
        "classes": run(nothing, [make_item(name=f"n{number}") for number in range(8)], "oracle"),
        "seeds": [one for seed in range(8) for one in run(nothing, [make_item()], "oracle", seed)],
    }
    for found in made.values():
        for number in (1, 2, 3):
            clicks = [one.click for one in found if one.number == number]
            assert len(clicks) == 8 and len(set(clicks)) > 4


def test_no_click_falls_where_the_truth_is_unknown():
    known = np.zeros(SHAPE, bool)
    known[14] = True
    found = run(everything, [make_item(known=known)], clicks=6)
    assert all(known[one.click[:3]] for one in found)
    assert [one.click[3] for one in found] == [1, 0, 0, 0, 0, 0]


def test_when_nothing_is_wrong_clicking_ends_and_the_mask_stays():
    """Whatever the method says along with the others, which go on."""
    solved = make_item("solved")

    def rule(crop, labels):
        right = crop > 0
        return ~right if len(labels) > 1 else right

    found = run(rule, [solved], "oracle")
    assert [one.click is None for one in found] == [False, True, True]
    assert [one.volume_clicks for one in found] == [1, 1, 1]
    assert all(one.region.mask.sum() == solved.truth.sum() for one in found)
