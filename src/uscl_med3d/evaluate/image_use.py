"""Does a method look at the image? The same case, the same protocol, but the image of another patient.

What Dice remains with another patient's image is not earned by looking: it says where clicks lie. The difference is the
share that comes from the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from uscl_med3d.core.seeds import rng
from uscl_med3d.evaluate.cases import UNANNOTATED, Item
from uscl_med3d.evaluate.protocol import NoPrediction, Prediction, Setting
from uscl_med3d.evaluate.rows import score_prediction

Predict = Callable[[Sequence[Item], Setting], Iterator[Prediction | NoPrediction]]


class ImageUse:
    """Collects items while a run is scored; `measure` then shows each the image of another patient.

    Args:
        job: with `seed`, `run`, `evaluate` (`image_use.classes_per_case`, `image_use.points`).
        setting: the way of clicking that is compared.
    """

    def __init__(self, job: Any, setting: Setting) -> None:
        self.settings, self.setting = job.evaluate.image_use, setting
        # Surfaces take most of the time of a score and are not asked for.
        plain = job.evaluate.model_copy(update={"surface_at": ()})
        self.job = job.model_copy(update={"evaluate": plain})
        self.items: list[Item] = []
        self.pool: list[Item] = []  # every item: whose image another one may be shown
        self.own: list[dict[str, Any]] = []

    def add_items(self, items: Iterable[Item]) -> None:
        """Items of one case; those that are compared are drawn by seed."""
        known = sorted(items, key=lambda item: item.name)
        self.pool += known
        taken = [item for item in self.items if known and _case(item) == _case(known[0])]
        room = self.settings.classes_per_case - len(taken)
        if known and room > 0:
            random = rng(self.job.seed, "image_use", known[0].dataset, known[0].case, known[0].name)
            self.items += [known[index] for index in sorted(random.permutation(len(known))[:room])]

    def add_scores(self, prediction: Prediction, scored: Sequence[dict[str, Any]], setting: Setting) -> None:
        """Scores of an item with its own image."""
        if setting == self.setting and scored and any(_is_of(prediction.item, item) for item in self.items):
            self.own += self._rows(prediction, scored, "own")

    def measure(self, predict: Predict) -> list[dict[str, Any]]:
        """Rows of `core.scores.IMAGE_USE`, with the own and with another image."""
        rows = []
        for item in self.items:
            other = find_other(item, self.pool)
            if other is None:
                continue
            shown = replace(_alone(item, self.job), image=fit(other.image, item.image.shape))
            for prediction in predict([shown], self.setting):
                if isinstance(prediction, Prediction):
                    scored = score_prediction(self.job, prediction, self.setting)
                    rows += self._rows(prediction, scored, "other")
        compared = {(row["case"], row["class"]) for row in rows}
        return [row for row in self.own if (row["case"], row["class"]) in compared] + rows

    def _rows(
        self, prediction: Prediction, scored: Sequence[dict[str, Any]], image: str
    ) -> list[dict[str, Any]]:
        if prediction.number and prediction.number not in self.settings.points:
            return []
        item = prediction.item
        about = {
            "run": self.job.run.id,
            "dataset": item.dataset,
            "split": item.split,
            "patient": item.patient,
            "case": item.case,
            "class": item.name,
        }
        return [
            about | {"points": prediction.number, "image": image, "dice": row["dice"]} for row in scored[:1]
        ]


def find_other(item: Item, pool: Sequence[Item]) -> Item | None:
    """The case of another patient whose image an item is shown, of the same set and split; None without one.

    It is the next one in the order of `pool`, one that shows the same class where there is any: then the image differs and
    what is to be seen does not.
    """
    others = [
        one
        for one in pool
        if (one.dataset, one.split) == (item.dataset, item.split)
        and (one is item or one.patient != item.patient)
    ]
    same = [one for one in others if one.name == item.name]
    fitting = same if len(same) > 1 else others
    place = next(index for index, one in enumerate(fitting) if one is item)
    return fitting[(place + 1) % len(fitting)] if len(fitting) > 1 else None


def fit(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """An image (d, h, w) on another grid without scaling: its middle on the grid's middle, cut or padded with zeros."""
    made = np.zeros(shape, image.dtype)
    inside, outside = [], []
    for there, wanted in zip(image.shape, shape, strict=True):
        length = min(there, wanted)
        inside.append(slice((there - length) // 2, (there - length) // 2 + length))
        outside.append(slice((wanted - length) // 2, (wanted - length) // 2 + length))
    made[tuple(outside)] = image[tuple(inside)]
    return made


def _case(item: Item) -> tuple[str, str]:
    return item.dataset, item.case


def _is_of(predicted: Item, item: Item) -> bool:
    """Whether a prediction is meant for the reference that an item is compared by: the volume's where it has one."""
    return (*_case(predicted), predicted.name, predicted.reference) == (
        *_case(item),
        item.name,
        item.reference,
    )


def _alone(item: Item, job: Any) -> Item:
    """An item with the one reference that it is compared by, and with key frames that show its class only.

    A method prompted with key frames then follows one class, once, instead of all of them for every item.
    """
    key_frames = item.key_frames
    if key_frames is not None:
        kept = np.isin(key_frames, (UNANNOTATED, job.classes[item.name]))
        key_frames = np.where(kept, key_frames, np.uint8(0))
    held_out = item.held_out if item.reference is None else None
    return replace(item, key_frames=key_frames, held_out=held_out, pseudo_label=None)
