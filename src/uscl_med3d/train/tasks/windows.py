"""Training of networks that segment without prompts: on patches, with Dice plus cross-entropy over all classes.

Patches are drawn nearly as nnU-Net draws them (Isensee et al. 2021): a share is centred on a voxel of a class, the
others lie anywhere. The class is drawn first and then a sweep that shows it, so that rare classes are seen as often
as common ones. Frames that the pseudo-labels reject are 255 and enter neither term of the loss.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from uscl_med3d.core.seeds import Seeds, rng
from uscl_med3d.methods.unet import UNetMethod, normalise, pad_to
from uscl_med3d.train.augment import augment
from uscl_med3d.train.crops import IGNORE
from uscl_med3d.train.engine import Group
from uscl_med3d.train.sweeps import LabelledSweeps
from uscl_med3d.train.tasks.base import FinetuneTask


class Windows(FinetuneTask):
    """Patches of the training patients' pseudo-labelled sweeps, all classes at once; validation on annotated key frames."""

    def __init__(self, job: Any, method: UNetMethod, sweeps: LabelledSweeps) -> None:
        self.job, self.method, self.network = job, method, method.network
        self.seeds: Seeds = (job.seed, "finetune", job.run.training_seed)
        self.parameters = method.prepare_training()
        self.schedule, self.patch = method.options.training, method.options.patch
        self.channels = _channel_of_value(job.classes)
        self.source = sweeps
        self.validation_sweeps = list(sweeps.validation)
        rng(job.seed, "finetune", "validation_sweeps").shuffle(self.validation_sweeps)
        self.validation_sweeps = self.validation_sweeps[: self.schedule.validation_sweeps]
        self.load = lru_cache(maxsize=self.schedule.cached_cases)(self._load)
        self.sweeps_with: dict[int, list[str]] = {}
        for sweep in sweeps.train:
            for channel in np.unique(self.load(sweep)[1]).tolist():
                if channel not in (0, IGNORE):
                    self.sweeps_with.setdefault(channel, []).append(sweep)

    def _load(self, sweep: str) -> tuple[np.ndarray, np.ndarray]:
        image, label = self.source.load_train(sweep)
        padded, inside = pad_to(image, self.patch)
        known = np.full(padded.shape, IGNORE, dtype=np.uint8)
        known[inside] = self.channels[label]
        return normalise(padded)[0, 0].numpy(), known

    def groups(self) -> list[Group]:
        """See `Task.groups`."""
        return [Group(self.parameters, self.method.learning_rate())]

    def loss(self, step: int) -> Mapping[str, Tensor]:
        """Dice and cross-entropy over all classes."""
        images, labels = (value.to(self.method.device) for value in self.draw(step))
        return {"loss": dice_cross_entropy_of_classes(self.network(images), labels)}

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """Images (b, 1, d, h, w) and channel numbers (b, d, h, w), 255 where nothing is known, of one step."""
        random = rng(self.seeds[0], *self.seeds[1:], "batch", step)
        images, labels = [], []
        for _ in range(self.schedule.batch_size):
            sweep, channel = self._draw_sweep(random)
            image, label = self.load(sweep)
            part = place_patch(label, self.patch, channel, random)
            images.append(torch.from_numpy(image[part]))
            labels.append(torch.from_numpy(label[part]))
        return augment(torch.stack(images)[:, None], torch.stack(labels), self.schedule.augmentation, random)

    def _draw_sweep(self, random: np.random.Generator) -> tuple[str, int | None]:
        """A sweep, and the class that the patch is centred on, or None for anywhere."""
        if self.sweeps_with and random.random() < self.schedule.foreground:
            channels = sorted(self.sweeps_with)
            channel = channels[int(random.integers(len(channels)))]
            having = self.sweeps_with[channel]
            return having[int(random.integers(len(having)))], channel
        return self.source.train[int(random.integers(len(self.source.train)))], None

    def evaluate(self) -> dict[str, float]:
        """Mean over classes of the mean Dice (0..100) on annotated key frames; NaN without any."""
        scores: dict[str, list[float]] = {}
        for name in self.validation_sweeps:
            image, key_frames = self.source.load_validation(name)
            labels = self.method.segment(image, None, self.job.classes, None)
            known = key_frames != IGNORE
            for key, value in self.job.classes.items():
                truth = key_frames == value
                if truth.any():
                    predicted = (labels == value) & known
                    dice = 200.0 * int((predicted & truth).sum()) / int(predicted.sum() + truth.sum())
                    scores.setdefault(key, []).append(dice)
        dice = float(np.mean([np.mean(values) for values in scores.values()])) if scores else math.nan
        return {"validation_dice": dice}

    def describe(self) -> dict[str, Any]:
        """Facts for the record."""
        return {
            "steps": self.schedule.steps,
            "batch_size": self.schedule.batch_size,
            "clicks": 0,
            "sweeps": len(self.source.train),
            "patch_dhw": list(self.patch),
        }


def place_patch(
    label: np.ndarray, patch: Sequence[int], channel: int | None, random: np.random.Generator
) -> tuple[slice, slice, slice]:
    """Where a patch lies in a volume that is nowhere smaller than it.

    Around a voxel of `channel`, moved as little as needed to stay inside; for None anywhere.
    """
    room = [length - side for length, side in zip(label.shape, patch, strict=True)]
    if channel is None:
        start = [int(random.integers(free + 1)) for free in room]
    else:
        found = np.flatnonzero(label == channel)
        voxel = np.unravel_index(found[int(random.integers(found.size))], label.shape)
        start = [
            min(max(int(at) - side // 2, 0), free) for at, side, free in zip(voxel, patch, room, strict=True)
        ]
    d, h, w = (slice(at, at + side) for at, side in zip(start, patch, strict=True))
    return d, h, w


def dice_cross_entropy_of_classes(logits: Tensor, labels: Tensor) -> Tensor:
    """Soft Dice loss of the foreground classes over the whole batch (MONAI's) plus mean cross-entropy.

    Args:
        logits: (b, c, d, h, w); channel 0 is background.
        labels: (b, d, h, w) channel numbers, 255 where nothing is known: such voxels enter neither term.

    MONAI's combined loss cannot ignore voxels: they are taken out of prediction and truth before its Dice.
    """
    from monai.losses import DiceLoss  # importing MONAI takes seconds

    logits, labels = logits.float(), labels.long()
    known = (labels != IGNORE)[:, None]
    truth = F.one_hot(labels.clamp(max=logits.shape[1] - 1), logits.shape[1]).movedim(-1, 1) * known
    dice = DiceLoss(include_background=False, batch=True)(logits.softmax(1) * known, truth)
    entropy = F.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="sum")
    return dice + entropy / known.sum().clamp(min=1)


def _channel_of_value(classes: dict[str, int]) -> np.ndarray:
    """Table from label value to output channel; other values are background, 255 stays."""
    table = np.zeros(256, dtype=np.uint8)
    table[IGNORE] = IGNORE
    for channel, value in enumerate(classes.values(), 1):
        table[value] = channel
    return table


TASK = Windows
