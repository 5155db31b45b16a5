"""The judge of methods without clicks: every volume is segmented once, for all its classes.

Methods with the prompt `none` see the image only. Methods with the prompt `key_frames` also see annotated key
frames, so what they are scored on says which ones:

- against a complete reference (`true_mask`): all annotated key frames are prompts and the whole volume is
  scored, prompt frames included;
- against held-out key frames: one is left out at a time. Each inner key frame (not the first, not the last) is
  predicted from all the others, and the inner ones are scored together.

The outer key frames are never left out, because nothing would enclose them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.evaluate.cases import UNANNOTATED, FrameMasks, Item
from uscl_med3d.evaluate.protocol import NoPrediction, Prediction, Setting
from uscl_med3d.methods.base import WholeMethod
from uscl_med3d.predict.crops import Region
from uscl_med3d.propagation.key_frames import list_annotated_frames

NUMBER = 0
"""Clicks that these methods are given."""

NO_KEY_FRAMES = "not scored: no key frames"
NO_INNER_KEY_FRAME = "not scored: no key frame between others"


def predict_whole(
    method: WholeMethod, items: Iterable[Item], setting: Setting, job: Any
) -> Iterator[Prediction | NoPrediction]:
    """One prediction per item; for a method prompted with key frames one per item and reference.

    Args:
        items: the items of a case follow each other; a case that is split over two calls is segmented twice.
        setting: of no influence: there are no clicks. job: has `classes`.

    A prediction's item keeps only the reference that the prediction is meant for. Without any key frame there is
    no prediction by a method that needs them, nor one of held-out key frames without an inner one: a `NoPrediction`
    says so.

    Raises:
        InputError: if a method that needs key frames meets a data set that has none.
    """
    for _, group in groupby(items, key=lambda item: (item.dataset, item.case)):
        of_case = list(group)
        if method.takes == "key_frames":
            yield from _predict_from_key_frames(method, of_case, job.classes)
        elif method.told_class:
            for item in of_case:
                labels = method.segment(item.image, None, {item.name: job.classes[item.name]}, None)
                yield _prediction(item, labels, job.classes)
        else:
            labels = method.segment(of_case[0].image, None, job.classes, None)
            for item in of_case:
                yield _prediction(item, labels, job.classes)


def _predict_from_key_frames(
    method: WholeMethod, items: Sequence[Item], classes: Mapping[str, int]
) -> Iterator[Prediction | NoPrediction]:
    image, key_frames = items[0].image, items[0].key_frames
    if key_frames is None:
        raise InputError(
            file="params.yaml",
            found=f"a method prompted with key frames on the data set {items[0].dataset}",
            expected="ultrasound sweeps (us), the only cases with key frames",
            remedy="set the method's datasets to [us]",
        )
    annotated = list_annotated_frames(key_frames)
    if not annotated:
        for item in items:
            yield NoPrediction(item, NUMBER, NO_KEY_FRAMES)
        return
    if any(item.reference is not None for item in items):
        labels = method.segment(image, key_frames, classes, None)
        for item in items:
            if item.reference is not None:
                yield _prediction(replace(item, held_out=None), labels, classes)
    of_frames = [item for item in items if item.held_out is not None or item.reference is None]
    if not of_frames:
        return
    inner = np.array(annotated[1:-1], dtype=int)
    labels = leave_one_out(method, image, key_frames, inner, classes)
    for item in of_frames:
        held_out = FrameMasks(inner, key_frames[inner] == classes[item.name])
        alone = replace(item, reference=None, held_out=held_out, pseudo_label=None)
        yield (
            _prediction(alone, labels, classes)
            if inner.size
            else NoPrediction(alone, NUMBER, NO_INNER_KEY_FRAME)
        )


def leave_one_out(
    method: WholeMethod,
    image: np.ndarray,
    key_frames: np.ndarray,
    frames: Iterable[int],
    classes: Mapping[str, int],
) -> np.ndarray:
    """Label map (d, h, w) in which each of `frames` is predicted from all other key frames; else background."""
    labels = np.zeros(image.shape, dtype=np.uint8)
    for frame in map(int, frames):
        others = key_frames.copy()
        others[frame] = UNANNOTATED
        labels[frame] = method.segment(image, others, classes, [frame])[frame]
    return labels


def _prediction(item: Item, labels: np.ndarray, classes: Mapping[str, int]) -> Prediction:
    """A class that the method does not know, or did not find, is an empty mask."""
    value = classes.get(item.name)
    mask = np.zeros(labels.shape, dtype=bool) if value is None else labels == value
    return Prediction(item, NUMBER, None, Region((0, 0, 0), mask), NUMBER)
