"""The protocol: encode once, then click up to the maximum, recording after each click.

A first click is drawn uniformly from the target; its random stream is named by data set, case, class and
click seed, so it is identical for all methods. Every later click is simulated on the method's own error,
inside the crop, because the model cannot see a click outside it. When nothing is wrong there, clicking ends
and the mask stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from uscl_med3d.clicks.crops import Origin, common_part, find_box
from uscl_med3d.clicks.simulators import SIMULATORS, Click, draw_first_click
from uscl_med3d.core.seeds import rng
from uscl_med3d.evaluate.cases import Item
from uscl_med3d.methods.base import ClickMethod
from uscl_med3d.predict.crops import CropPrediction, Region
from uscl_med3d.predict.windows import SlidingPrediction


@dataclass(frozen=True)
class Setting:
    """One way of clicking: every value is a column of the score file."""

    crop: str
    click_simulator: str
    click_seed: int


@dataclass(frozen=True)
class Prediction:
    """The mask after click number `number` (from 1; 0 for methods that get no clicks).

    Attributes:
        click: None where nothing was left to click, and where clicks go to every slice.
        volume_clicks: clicks that the whole volume has cost so far.
        slice_clicks: where clicks go to every slice: those that are new with this prediction, slice by slice.
    """

    item: Item
    number: int
    click: Click | None
    region: Region
    volume_clicks: int
    slice_clicks: Sequence[Click] = ()


@dataclass(frozen=True)
class NoPrediction:
    """What a method cannot predict for want of its prompt; `item` has only the references that stay without."""

    item: Item
    number: int
    reason: str


def click_through(
    method: ClickMethod, items: Sequence[Item], setting: Setting, job: Any
) -> Iterator[Prediction]:
    """Every prediction of a batch of items, click by click.

    Args:
        job: with `seed`, `model` (the side of its input) and `evaluate` (`clicks`, `sliding_overlap`).
    """
    evaluate, size, seed = job.evaluate, job.model.image_size, job.seed
    simulator = SIMULATORS[setting.click_simulator]
    first = [first_click(item, setting, seed) for item in items]
    clicks: list[list[Click | None]] = [[click] for click in first]
    predict = _make_predictor(method, items, first, setting, evaluate, size)
    latest: dict[int, Region] = {}
    for number in range(1, evaluate.clicks + 1):
        regions = predict(clicks)
        for index, item in enumerate(items):
            history = clicks[index]
            if history[-1] is not None:
                latest[index] = regions[index]
            given = sum(click is not None for click in history)
            yield Prediction(item, number, history[-1], latest[index], given)
            random = rng(seed, "next_click", setting.click_seed, item.dataset, item.case, item.name, number)
            ended = history[-1] is None
            history.append(None if ended else _next_click(simulator, item, latest[index], random))


def first_click(item: Item, setting: Setting, seed: int) -> Click:
    """The first click of an item: the same for every method, crop and simulator."""
    random = rng(seed, "first_click", setting.click_seed, item.dataset, item.case, item.name)
    return draw_first_click(item.truth, random)


def _next_click(simulator: Any, item: Item, region: Region, random: np.random.Generator) -> Click | None:
    inside, outside = common_part(item.truth.shape, region.origin, region.mask.shape)
    prediction, truth = region.mask[inside], item.truth[outside]
    if item.known is not None:
        prediction = prediction & item.known[outside]
    click = simulator(prediction, truth, random)
    if click is None:
        return None
    d, h, w = (int(at + part.start) for at, part in zip(click[:3], outside, strict=True))
    return d, h, w, click[3]


def _make_predictor(
    method: ClickMethod,
    items: Sequence[Item],
    first: Sequence[Click],
    setting: Setting,
    evaluate: Any,
    size: int,
) -> Callable[[list[list[Click | None]]], list[Region]]:
    if setting.crop == "sliding":
        windows = [SlidingPrediction(method, item.image, size, evaluate.sliding_overlap) for item in items]
        return lambda clicks: [one.predict(history) for one, history in zip(windows, clicks, strict=True)]
    origins: list[Origin] = [
        method.place_crop(click[:3], click[:3], item.truth.shape, size)
        if setting.crop == "first_click"
        else _oracle_origin(method, item, click, size)
        for item, click in zip(items, first, strict=True)
    ]
    return CropPrediction(method, [item.image for item in items], origins, size).predict


def _oracle_origin(method: ClickMethod, item: Item, click: Click, size: int) -> Origin:
    """The crop around the truth's centre, moved if needed so that the common first click lies inside it."""
    origin = method.place_crop(*find_box(item.truth), item.truth.shape, size)
    moved = [min(max(start, at - size + 1), at) for start, at in zip(origin, click[:3], strict=True)]
    return moved[0], moved[1], moved[2]
