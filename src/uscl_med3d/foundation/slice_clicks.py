"""Training of promptable 2D networks by simulated clicks, as SAM's paper describes it.

An image is encoded once and decoded after every click for several targets. After the first click, which is
ambiguous, the network gives several masks and only the best one is learned from. How many clicks a step has is
drawn; the first and the last are learned from, those between them only move clicks and fed-back masks on,
without gradient. The image encoder is frozen: it has learned to see before (`foundation.similarity`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uscl_med3d.clicks.simulators import SIMULATORS, draw_first_click
from uscl_med3d.core.params.slices import SliceClickTraining, SliceTargets
from uscl_med3d.core.seeds import Seeds, rng
from uscl_med3d.foundation.stages import DICE_COLUMNS
from uscl_med3d.methods.slicewise import SliceState, SlicewiseMethod
from uscl_med3d.train.engine import Group, Task

_SMOOTH = 1.0  # of the Dice loss, in pixels
NO_CLICK = (0, 0, -1)


@dataclass(frozen=True)
class SliceBatch:
    """Images (b, 3, h, w) in 0..255, targets (n, h, w) bool, and the image (n,) that each target lies in."""

    images: Tensor
    truth: Tensor
    owner: Tensor


class SliceClicker:
    """Gives simulated clicks on the targets of a batch, and keeps what was clicked.

    Args:
        other_image: the network is shown the next image of the batch instead of the target's own: what Dice
            remains is not earned by looking.
    """

    def __init__(
        self,
        method: SlicewiseMethod,
        batch: SliceBatch,
        simulator: str,
        random: np.random.Generator,
        *,
        other_image: bool = False,
    ) -> None:
        self.method, self.batch, self.random = method, batch, random
        self.simulate = SIMULATORS[simulator]
        self.truth = batch.truth.numpy()
        self.clicks: list[list[tuple[int, int, int]]] = []
        images = batch.images.roll(1, 0) if other_image else batch.images
        embedding = method.embed(images)[batch.owner]
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


class SliceClicks(Task):
    """Loss after the first click and after one later click, whose number is drawn.

    Args:
        method: whose prompt encoder and decoder learn; its image encoder is frozen here.
        draw: step -> images with objects. held_out: for the learning curve.
        settings: numbers of the stage. targets: how the curve is measured. seeds: of its random streams.
    """

    def __init__(
        self,
        method: SlicewiseMethod,
        draw: Callable[[int], SliceBatch],
        held_out: Sequence[SliceBatch],
        settings: SliceClickTraining,
        targets: SliceTargets,
        seeds: Seeds,
    ) -> None:
        self.method, self.draw, self.held_out = method, draw, held_out
        self.settings, self.targets, self.seeds = settings, targets, seeds
        method.network.image_encoder.requires_grad_(False)
        self.network = nn.ModuleList([method.network.prompt_encoder, method.network.mask_decoder])

    def groups(self) -> list[Group]:
        """Prompt encoder and decoder."""
        return [Group(list(self.network.parameters()), self.settings.learning_rate)]

    def loss(self, step: int) -> Mapping[str, Tensor]:
        """The first steps learn from the first click only."""
        random = rng(*self.seeds, "clicks", step)
        clicks = 1
        if step >= self.settings.first_click_steps:
            clicks = int(random.integers(2, self.settings.clicks + 1))
        return {
            "loss": click_loss(
                self.method, self.draw(step), clicks, self.targets.click_simulator, self.settings, random
            )
        }

    def evaluate(self) -> dict[str, float]:
        """See `score_held_out`."""
        return score_held_out(self.method, self.held_out, self.targets, self.seeds)


def click_loss(
    method: SlicewiseMethod,
    batch: SliceBatch,
    clicks: int,
    simulator: str,
    settings: SliceClickTraining,
    random: np.random.Generator,
) -> Tensor:
    """Mean loss after the first click and after the last of `clicks`."""
    learned = {1, clicks}
    with torch.no_grad():
        clicker = SliceClicker(method, batch, simulator, random)
    truth = batch.truth.to(method.device)
    total, prediction = torch.zeros((), device=method.device), None
    for number in range(1, clicks + 1):
        with torch.set_grad_enabled(number in learned):
            masks, quality = clicker.click(prediction)
            if number in learned:
                logits = clicker.state.frame.restore_masks(masks)
                total = total + best_mask_loss(logits, quality, truth, settings) / len(learned)
        if number < clicks:
            prediction = clicker.choose(masks, quality)
    return total


def best_mask_loss(logits: Tensor, quality: Tensor, truth: Tensor, settings: SliceClickTraining) -> Tensor:
    """Loss of the best of several masks per target, plus the error of every predicted IoU.

    Args:
        logits: (n, m, h, w). quality: predicted IoU (n, m). truth: bool (n, h, w).

    Source: Kirillov et al., Segment Anything, section 3 and appendix A: focal and Dice loss of the best mask,
        mean squared error of the IoU. Means over pixels; without the focal loss's balancing factor.
    """
    target = truth.unsqueeze(1).expand_as(logits).float()
    probability = torch.sigmoid(logits)
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    if settings.focal_gamma:
        entropy = entropy * (target - probability).abs() ** settings.focal_gamma
    overlap = (probability * target).sum((2, 3))
    size = probability.sum((2, 3)) + target.sum((2, 3))
    dice = 1 - (2 * overlap + _SMOOTH) / (size + _SMOOTH)
    loss = settings.focal_weight * entropy.mean((2, 3)) + settings.dice_weight * dice
    with torch.no_grad():
        found = logits > 0
        union = (found | truth.unsqueeze(1)).sum((2, 3))
        iou = (found & truth.unsqueeze(1)).sum((2, 3)) / union.clamp(min=1)
    return loss.min(1).values.mean() + settings.iou_weight * F.mse_loss(quality, iou)


@torch.no_grad()
def score_held_out(
    method: SlicewiseMethod, batches: Iterable[SliceBatch], targets: SliceTargets, seeds: Seeds
) -> dict[str, float]:
    """Mean Dice (0..100) over held-out targets after the first and the last click; also with another image."""
    scores: dict[str, list[Tensor]] = {name: [] for name in DICE_COLUMNS[1:]}
    last = targets.held_out_clicks
    for index, batch in enumerate(batches):
        for other, ending in ((False, "dice"), (True, "other_image")):
            random = rng(*seeds, "held_out_clicks", index)
            clicker = SliceClicker(method, batch, targets.click_simulator, random, other_image=other)
            prediction = None
            for number in range(1, last + 1):
                prediction = clicker.choose(*clicker.click(prediction))
                for name, count in (("first", 1), ("last", last)):
                    if number == count:
                        scores[f"{name}_click_{ending}"].append(dice_percent(prediction, batch.truth))
    return {name: float(torch.cat(part).mean()) if part else float("nan") for name, part in scores.items()}


def dice_percent(found: Tensor, truth: Tensor) -> Tensor:
    """Dice (0..100) per pair of masks (n, h, w); the truth is never empty."""
    found = found.cpu()
    return 200.0 * (found & truth).sum((1, 2)) / (found.sum((1, 2)) + truth.sum((1, 2)))
