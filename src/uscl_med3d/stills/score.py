"""Scores of one image: masks by simulated clicks or without any, with the own image and with another one.

What Dice remains when the same clicks are given on another image is not earned by looking at the image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uscl_med3d.clicks.simulators import SIMULATORS, draw_first_click
from uscl_med3d.core.seeds import Seeds, rng
from uscl_med3d.data.images2d import ImageSet, Item, read_item
from uscl_med3d.evaluate.official_scores import hausdorff_95
from uscl_med3d.methods.stills.base import ClickedMethod, StillMethod, WholeMethod

Clicks = list[tuple[int, int, int]]
"""(row, column, label) each, in the order they are given."""


@dataclass(frozen=True)
class Score:
    """One mask against the truth.

    Attributes:
        hd95_px: NaN for an empty mask. dice_other: with the same clicks on another image; NaN where there is none.
    """

    points: int
    dice: float
    hd95_px: float
    dice_other: float


def find_other(item: Item, items: Sequence[Item]) -> Item | None:
    """The next image of another group, in the order of `items`, which has `item`; None without one."""
    place = items.index(item)
    following = [*items[place + 1 :], *items[:place]]
    return next((one for one in following if one.group != item.group), None)


def score_item(
    method: StillMethod, item: Item, other: Item | None, images: ImageSet, settings: Any, seed: int
) -> Iterator[tuple[str, Score]]:
    """(class, score) of every structure that an image shows, at every number of clicks that counts.

    Args:
        other: an image of another group. settings: with `points` and `click_simulator`.
    """
    grey, labels = read_item(item)
    picture = as_tensor(grey)
    foreign = None if other is None else as_tensor(fit(read_item(other)[0], labels.shape))
    shown = {name: labels == label for name, label in images.classes.items() if (labels == label).any()}
    if isinstance(method, WholeMethod):
        with torch.inference_mode():
            found = method.segment(picture)
            blind = None if foreign is None else method.segment(foreign)
        for name, truth in shown.items():
            label = images.classes[name]
            yield name, compare(found == label, truth, 0, None if blind is None else blind == label)
        return
    assert isinstance(method, ClickedMethod)
    with torch.inference_mode():
        embedding = method.embed(picture)
        elsewhere = None if foreign is None else method.embed(foreign)
    for name, truth in shown.items():
        streams: Seeds = (seed, "stills", "click", images.name, item.name, name)
        for count, mask, clicks in click_through(method, embedding, truth, settings, streams):
            blind = None if elsewhere is None else answer(method, elsewhere, truth, clicks)
            yield name, compare(mask, truth, count, blind)


def click_through(
    method: ClickedMethod, embedding: Tensor, truth: np.ndarray, settings: Any, streams: Seeds
) -> Iterator[tuple[int, np.ndarray, Clicks]]:
    """(number, mask, clicks) for every number of `settings.points`; when nothing is wrong, the mask stays."""
    clicks: Clicks = []
    mask = np.zeros(truth.shape, bool)
    for number in range(1, max(settings.points) + 1):
        random = rng(streams[0], *streams[1:], number)
        click = (
            draw_first_click(truth[None], random)
            if number == 1
            else SIMULATORS[settings.click_simulator](mask[None], truth[None], random)
        )
        if click is not None:
            clicks.append(click[1:])
            mask = answer(method, embedding, truth, clicks)
        if number in settings.points:
            yield number, mask, clicks


def answer(method: ClickedMethod, embedding: Tensor, truth: np.ndarray, clicks: Clicks) -> np.ndarray:
    """Mask bool (h, w) after some clicks; of the truth only the size is used."""
    table = torch.tensor([clicks])
    with torch.inference_mode():
        logits = method.click(
            embedding, (truth.shape[0], truth.shape[1]), table[..., :2].float(), table[..., 2]
        )
    found: np.ndarray = (logits[0, 0] > 0).cpu().numpy()
    return found


def compare(mask: np.ndarray, truth: np.ndarray, points: int, other: np.ndarray | None) -> Score:
    """Dice (0..100) and 95 % Hausdorff distance in pixels, and the Dice of `other`; the truth is not empty."""
    distance = hausdorff_95(mask, truth) if mask.any() else float("nan")
    return Score(points, dice(mask, truth), distance, float("nan") if other is None else dice(other, truth))


def dice(mask: np.ndarray, truth: np.ndarray) -> float:
    """Dice of two masks, 0..100; the truth is not empty."""
    return 200.0 * int((mask & truth).sum()) / int(mask.sum() + truth.sum())


def fit(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A grey image uint8 (h, w), stretched to another size."""
    from PIL import Image

    if image.shape == shape:
        return image
    return np.asarray(Image.fromarray(image).resize((shape[1], shape[0]), Image.Resampling.BILINEAR))


def as_tensor(grey: np.ndarray) -> Tensor:
    """A grey image uint8 (h, w) as a method takes it, (1, 3, h, w)."""
    return torch.from_numpy(grey.astype(np.float32))[None, None].expand(1, 3, -1, -1)
