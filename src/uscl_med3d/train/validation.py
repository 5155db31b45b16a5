"""Validation while training: mean Dice of a few fixed crops after a few simulated clicks.

It chooses nothing but the step whose weights are kept. It is not the evaluation: that scores whole volumes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from uscl_med3d.core.seeds import Seeds, rng
from uscl_med3d.methods.base import ClickMethod
from uscl_med3d.train.clicking import add_clicks, first_clicks
from uscl_med3d.train.crops import IGNORE, CropReference, CropSource, Target, draw_crop_list

BATCH = 8  # crops predicted at once; only floating-point sums depend on it


def choose_validation_crops(
    source: CropSource, targets: Sequence[Target], count: int, seed: int, *names: int | str
) -> list[CropReference]:
    """One crop of each of `count` targets: classes in turn, and within a class in a seeded order."""
    by_class: dict[str, list[Target]] = {}
    for target in targets:
        by_class.setdefault(target.name, []).append(target)
    for name, members in by_class.items():
        rng(seed, *names, "validation", name).shuffle(members)
    chosen: list[Target] = []
    while len(chosen) < min(count, len(targets)):
        chosen += [by_class[name].pop() for name in sorted(by_class) if by_class[name]]
    return draw_crop_list(source, chosen[:count], 1, seed, *names, "validation")


def validate(
    method: ClickMethod,
    source: CropSource,
    crops: Sequence[CropReference],
    *,
    clicks: int,
    simulator: str,
    seeds: Seeds,
    other_image: bool = False,
) -> float:
    """Mean over classes of the mean Dice (0..100) of the crops after `clicks` clicks; NaN without crops.

    With `other_image` each crop is shown the image of the next crop in its batch: what remains is not seen.
    """
    scores: dict[str, list[float]] = {}
    method.network.eval()
    with torch.inference_mode():
        for start in range(0, len(crops), BATCH):
            part = crops[start : start + BATCH]
            batch = source.cut_batch(part)
            images = np.roll(batch.images, 1, 0) if other_image else batch.images
            state = method.encode(torch.from_numpy(images))
            points, labels = first_clicks(batch)
            for click in range(clicks):
                prediction = method.click(state, points, labels) > 0
                if click + 1 < clicks:
                    random = rng(*seeds, "validation_clicks", start, click)
                    points, labels = add_clicks(points, labels, prediction, batch.truth, simulator, random)
            for index, crop in enumerate(part):
                scores.setdefault(crop.target.name, []).append(
                    _dice(prediction[index, 0].cpu().numpy(), batch.truth[index, 0])
                )
    return float(np.mean([np.mean(values) for values in scores.values()])) if scores else math.nan


def _dice(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Dice in percent over the known voxels; the truth has at least the voxel that placed the crop."""
    predicted, true = prediction & (truth != IGNORE), truth == 1
    return 200.0 * float((predicted & true).sum()) / float(predicted.sum() + true.sum())
