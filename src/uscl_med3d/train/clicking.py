"""Simulated clicks on a batch of crops, as training and validation give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from uscl_med3d.clicks.simulators import SIMULATORS, draw_first_click
from uscl_med3d.methods.base import ClickMethod
from uscl_med3d.train.crops import IGNORE, Batch
from uscl_med3d.train.losses import dice_cross_entropy


@dataclass(frozen=True)
class ObjectBatch:
    """Crops, and several objects in each.

    Attributes:
        images: (b, 1, s, s, s) float32 raw intensities.
        owner: (n,) the crop that each object lies in.
        objects: their truth (n, 1, s, s, s) and first clicks (n, 3); its images are empty.
    """

    images: np.ndarray
    owner: np.ndarray
    objects: Batch


Crop = tuple[np.ndarray, np.ndarray, Sequence[tuple[int, ...]]]
"""Image and label map (s, s, s), and the label values of its objects, the one that the crop was drawn for first."""


def draw_objects(
    crops: Sequence[Crop], per_crop: int, min_voxels: int, random: np.random.Generator
) -> ObjectBatch:
    """At most `per_crop` objects of each crop with their first clicks, drawn uniformly from each object.

    The first object of a crop counts whatever its size, others (in an order drawn anew) from `min_voxels` on.
    """
    owner, truths, clicks = [], [], []
    for place, (_, label, objects) in enumerate(crops):
        order = [0, *(1 + random.permutation(len(objects) - 1))]
        for index in order:
            mask = np.isin(label, objects[index])
            if index and mask.sum() < min_voxels:
                continue
            truth = mask.astype(np.uint8)
            truth[label == IGNORE] = IGNORE
            truths.append(truth)
            clicks.append(draw_first_click(mask, random)[:3])
            owner.append(place)
            if owner.count(place) == per_crop:
                break
    images = np.stack([image for image, _, _ in crops])[:, None]
    return ObjectBatch(
        images, np.array(owner), Batch(np.empty(0), np.stack(truths)[:, None], np.array(clicks))
    )


def learn_from_clicks(
    method: ClickMethod,
    embedding: Tensor,
    batch: ObjectBatch,
    *,
    last: int,
    at_once: int,
    simulator: str,
    quality_weight: float,
    random: np.random.Generator,
) -> Tensor:
    """Mean loss after the first click and after click number `last`.

    The first click decides what an object is, so it is learned from in every step. Clicks between the two only move the
    mask on, without gradient.

    Args:
        embedding: of the crops (b, ...), with the gradient that it shall carry.
        at_once: clicks that are drawn on one mask before the next is predicted; 1 as at inference.
        quality_weight: of the squared error of the predicted IoU, beside Dice and cross-entropy.
    """
    state = method.start(embedding[torch.from_numpy(batch.owner)])
    truth = torch.from_numpy(batch.objects.truth).to(embedding.device)
    target, counts = (truth == 1).float(), (truth != IGNORE).float()
    points, labels = first_clicks(batch.objects)
    total = torch.zeros((), device=embedding.device)
    numbers = [*range(1, last, at_once), last]
    for number, following in zip(numbers, [*numbers[1:], last], strict=True):
        learned = number in (1, last)
        with torch.set_grad_enabled(learned):
            logits = method.click(state, points, labels)
        if learned:
            total = total + dice_cross_entropy(logits, target, counts)
            if quality_weight:
                total = total + quality_weight * quality_error(state.quality, logits, target, counts)
        for _ in range(following - number):
            points, labels = add_clicks(
                points, labels, logits.detach() > 0, batch.objects.truth, simulator, random
            )
    return total / (2 if last > 1 else 1)


def quality_error(quality: Tensor, logits: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    """Squared error of the predicted IoU (b, 1) against that of the mask with the truth; see `dice_cross_entropy`."""
    with torch.no_grad():
        found, axes = (logits > 0) * counts, (1, 2, 3, 4)
        truth = target * counts
        both = (found * truth).sum(axes)
        iou = both / (found.sum(axes) + truth.sum(axes) - both).clamp(min=1)
    return (quality[:, 0].float() - iou).square().mean()


def first_clicks(batch: Batch) -> tuple[Tensor, Tensor]:
    """The first clicks of a batch as points (b, 1, 3) and labels (b, 1)."""
    points = torch.from_numpy(batch.first_clicks).float()[:, None]
    return points, torch.ones(points.shape[:2], dtype=torch.long)


def add_clicks(
    points: Tensor,
    labels: Tensor,
    prediction: Tensor,
    truth: np.ndarray,
    simulator: str,
    random: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Append one simulated click per case; label -1 where nothing is wrong.

    Args:
        points, labels: clicks so far, (b, n, 3) and (b, n).
        prediction: boolean (b, 1, d, h, w).
        truth: uint8 of the same shape, 255 where nothing is known: no click falls there.
    """
    predicted = prediction.cpu().numpy()
    new_points, new_labels = [], []
    for index in range(points.shape[0]):
        known = truth[index, 0] != IGNORE
        click = SIMULATORS[simulator](predicted[index, 0] & known, truth[index, 0] == 1, random)
        d, h, w, label = click if click else (0, 0, 0, -1)
        new_points.append([[float(d), float(h), float(w)]])
        new_labels.append([label])
    return torch.cat([points, torch.tensor(new_points)], 1), torch.cat([labels, torch.tensor(new_labels)], 1)
