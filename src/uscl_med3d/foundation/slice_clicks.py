"""Training of promptable 2D networks by simulated clicks, as SAM's paper describes it.

An image is encoded once and decoded after every click for several targets. After the first click, which is
ambiguous, the network gives several masks and only the best one is learned from. How many clicks a step has is
drawn; the first and the last are learned from, those between them only move clicks and fed-back masks on,
without gradient.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from uscl_med3d.clicks.simulators import SIMULATORS, draw_first_click
from uscl_med3d.core.params.foundation_sam import SliceClickTraining
from uscl_med3d.core.seeds import Seeds, rng
from uscl_med3d.methods.slicewise import SliceState, SlicewiseMethod

_SMOOTH = 1.0  # of the Dice loss, in pixels
NO_CLICK = (0, 0, -1)


@dataclass(frozen=True)
class SliceBatch:
    """Images (b, 3, h, w) in 0..255, targets (n, h, w) bool, and the image (n,) that each target lies in."""

    images: Tensor
    truth: Tensor
    owner: Tensor


class SliceClicker:
    """Gives simulated clicks on the targets of a batch, and keeps what was clicked."""

    def __init__(
        self, method: SlicewiseMethod, batch: SliceBatch, simulator: str, random: np.random.Generator
    ) -> None:
        self.method, self.batch, self.random = method, batch, random
        self.simulate = SIMULATORS[simulator]
        self.truth = batch.truth.numpy()
        self.clicks: list[list[tuple[int, int, int]]] = []
        embedding = method.embed(batch.images)[batch.owner]
        self.state: SliceState = method.start(embedding, (self.truth.shape[1], self.truth.shape[2]))

    def click(self, prediction: Tensor | None) -> tuple[Tensor, Tensor]:
        """One more click per target, given the last masks (n, h, w) bool; candidates and their IoU."""
        if prediction is None:
            chosen = [draw_first_click(truth[None], self.random)[1:] for truth in self.truth]
        else:
            found = prediction.cpu().numpy()
            chosen = []
            for mask, truth in zip(found, self.truth, strict=True):
                click = self.simulate(mask[None], truth[None], self.random)
                chosen.append(click[1:] if click else NO_CLICK)
        self.clicks.append(chosen)
        table = torch.tensor(self.clicks).transpose(0, 1)
        return self.method.decode(self.state, table[..., :2].float(), table[..., 2])

    def choose(self, masks: Tensor, quality: Tensor) -> Tensor:
        """Feed the candidate with the highest predicted IoU back; its mask (n, h, w) bool on the image."""
        rows = torch.arange(masks.shape[0], device=masks.device)
        low = masks[rows, quality.argmax(1)].unsqueeze(1).detach()
        self.method.feed_back(self.state, low)
        return self.state.frame.restore_masks(low)[:, 0] > 0


def click_loss(
    method: SlicewiseMethod, batch: SliceBatch, training: SliceClickTraining, random: np.random.Generator
) -> Tensor:
    """Mean loss after the first click and after a later one, whose number is drawn uniformly."""
    last = int(random.integers(2, training.clicks + 1))
    clicker = SliceClicker(method, batch, training.click_simulator, random)
    truth = batch.truth.to(method.device)
    total, prediction = torch.zeros((), device=method.device), None
    for number in range(1, last + 1):
        learned = number in (1, last)
        with torch.set_grad_enabled(learned):
            masks, quality = clicker.click(prediction)
            if learned:
                logits = clicker.state.frame.restore_masks(masks)
                total = total + best_mask_loss(logits, quality, truth, training) / 2
        if number < last:
            prediction = clicker.choose(masks, quality)
    return total


def best_mask_loss(logits: Tensor, quality: Tensor, truth: Tensor, training: SliceClickTraining) -> Tensor:
    """Loss of the best of several masks per target, plus the error of every predicted IoU.

    Args:
        logits: (n, m, h, w). quality: predicted IoU (n, m). truth: bool (n, h, w).

    Source: Kirillov et al., Segment Anything, section 3 and appendix A: focal and Dice loss of the best mask,
        mean squared error of the IoU. Means over pixels; without the focal loss's balancing factor.
    """
    target = truth.unsqueeze(1).expand_as(logits).float()
    probability = torch.sigmoid(logits)
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    if training.focal_gamma:
        entropy = entropy * (target - probability).abs() ** training.focal_gamma
    overlap = (probability * target).sum((2, 3))
    size = probability.sum((2, 3)) + target.sum((2, 3))
    dice = 1 - (2 * overlap + _SMOOTH) / (size + _SMOOTH)
    loss = training.focal_weight * entropy.mean((2, 3)) + training.dice_weight * dice
    with torch.no_grad():
        found = logits > 0
        union = (found | truth.unsqueeze(1)).sum((2, 3))
        iou = (found & truth.unsqueeze(1)).sum((2, 3)) / union.clamp(min=1)
    return loss.min(1).values.mean() + training.iou_weight * F.mse_loss(quality, iou)


@torch.no_grad()
def mean_dice(
    method: SlicewiseMethod,
    batches: Iterable[SliceBatch],
    training: SliceClickTraining,
    seeds: Seeds,
) -> dict[str, float]:
    """Mean Dice (0..100) over held-out targets after the first and after the last click."""
    method.network.eval()
    first: list[Tensor] = []
    last: list[Tensor] = []
    for index, batch in enumerate(batches):
        clicker = SliceClicker(method, batch, training.click_simulator, rng(*seeds, index))
        prediction = None
        for number in range(1, training.clicks + 1):
            prediction = clicker.choose(*clicker.click(prediction))
            if number in (1, training.clicks):
                (first if number == 1 else last).append(dice_percent(prediction, batch.truth))
    return {
        "first_click_dice": float(torch.cat(first).mean()),
        "validation_dice": float(torch.cat(last).mean()),
    }


def dice_percent(found: Tensor, truth: Tensor) -> Tensor:
    """Dice (0..100) per pair of masks (n, h, w); the truth is never empty."""
    found = found.cpu()
    return 200.0 * (found & truth).sum((1, 2)) / (found.sum((1, 2)) + truth.sum((1, 2)))


def describe_job(job: Any, *files: Path | str) -> str:
    """What an unfinished training must belong to: the job, files or texts that it uses, the version of torch."""
    content = [job.model_dump(mode="json"), [str(file) for file in files], torch.__version__]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


Draw = Callable[[int], SliceBatch]
