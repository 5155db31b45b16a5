"""The protocol for 2D methods: clicks in every slice that shows the target, each slice for itself.

In each slice along the first axis that contains the target, the first click is drawn uniformly from the target
there, and every later one is simulated on the method's error in that slice. Random streams are named by data
set, case, class, slice and number, so the first clicks are the same for all methods. Slices without the target
get no click and stay background. N clicks per slice are many more clicks per volume: `volume_clicks` says how
many. When nothing is wrong in a slice, clicking ends there and its mask stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from uscl_med3d.clicks.simulators import SIMULATORS, draw_first_click
from uscl_med3d.core.seeds import rng
from uscl_med3d.evaluate.cases import Item
from uscl_med3d.evaluate.protocol import Prediction, Setting
from uscl_med3d.methods.base import SliceMethod
from uscl_med3d.predict.crops import Region
from uscl_med3d.predict.slices import SliceEmbeddings

NO_CLICK = (0, 0, -1)


def click_through_slices(
    method: SliceMethod, items: Sequence[Item], setting: Setting, job: Any
) -> Iterator[Prediction]:
    """Every prediction of a batch of items, click by click, one item after the other.

    Args:
        job: with `seed` and `evaluate` (`clicks`).
    """
    embeddings = SliceEmbeddings(method)
    for item in items:
        yield from _click_through_item(method, embeddings, item, setting, job.evaluate.clicks, job.seed)


def _click_through_item(
    method: SliceMethod, embeddings: SliceEmbeddings, item: Item, setting: Setting, clicks: int, seed: int
) -> Iterator[Prediction]:
    slices = np.flatnonzero(item.truth.any((1, 2))).tolist()
    truth = item.truth[slices]
    counted = np.ones_like(truth) if item.known is None else item.known[slices]
    masks = np.zeros_like(truth)
    with torch.inference_mode():
        state = method.start(embeddings.embed(item.image, slices), (truth.shape[1], truth.shape[2]))
    history: list[list[tuple[int, int, int]]] = [[] for _ in slices]
    for number in range(1, clicks + 1):
        for row, index in enumerate(slices):
            history[row].append(
                _choose_click(
                    item, setting, seed, index, number, masks[row] & counted[row], truth[row], history[row]
                )
            )
        table = torch.tensor(history)
        with torch.inference_mode():
            logits = method.click(state, table[..., :2].float(), table[..., 2])
        clicked = (table[:, -1, 2] >= 0).numpy()
        # Where nothing was wrong, the method had to predict along with the others, but its mask stays.
        masks[clicked] = (logits[:, 0] > 0).cpu().numpy()[clicked]
        volume = np.zeros(item.truth.shape, dtype=bool)
        volume[slices] = masks
        given = int((table[..., 2] >= 0).sum())
        new = [(index, *history[row][-1]) for row, index in enumerate(slices) if clicked[row]]
        yield Prediction(item, number, None, Region((0, 0, 0), volume), given, new)


def _choose_click(
    item: Item,
    setting: Setting,
    seed: int,
    index: int,
    number: int,
    prediction: np.ndarray,
    truth: np.ndarray,
    history: Sequence[tuple[int, int, int]],
) -> tuple[int, int, int]:
    """Click `number` in slice `index` as (h, w, label); `NO_CLICK` once nothing is wrong."""
    step = "first_click" if number == 1 else "next_click"
    random = rng(seed, step, setting.click_seed, item.dataset, item.case, item.name, "slice", index, number)
    if number == 1:
        _, h, w, label = draw_first_click(truth[None], random)
        return h, w, label
    if history[-1] == NO_CLICK:
        return NO_CLICK
    click = SIMULATORS[setting.click_simulator](prediction[None], truth[None], random)
    return click[1:] if click else NO_CLICK
