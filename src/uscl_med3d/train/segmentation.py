"""Training of networks that segment without prompts: on patches, with Dice plus cross-entropy over all classes.

Patches are drawn as nnU-Net draws them (Isensee et al. 2021): a share is centred on a voxel of a class that is
drawn first, so that small classes are seen; the others lie anywhere. Frames that the pseudo-labels reject are 255
and enter neither loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.seeds import rng
from uscl_med3d.data.sweeps import load_pseudolabelled, load_sweep
from uscl_med3d.methods.unet import UNetMethod, normalise, pad_to
from uscl_med3d.train.augment import augment
from uscl_med3d.train.crops import IGNORE
from uscl_med3d.train.loop import Trainer


class PatchTrainer(Trainer):
    """Every step: patches of a few sweeps, all classes at once."""

    def loss(self, example: tuple[Tensor, Tensor], step: int) -> Tensor:
        """See `Trainer.loss`; an example is images (b, 1, d, h, w) and channel numbers (b, d, h, w)."""
        device = self.parameters[0].device
        images, labels = (value.to(device) for value in example)
        return dice_cross_entropy_of_classes(self.method.network(images), labels)


class PatchTraining:
    """Patches of the training patients' pseudo-labelled sweeps, and validation on annotated key frames."""

    def __init__(
        self, job: Any, volumes_dir: Path, pseudolabels_dir: Path, splits: pd.DataFrame, seeds: tuple,
        method: UNetMethod,
    ) -> None:  # fmt: skip
        self.job, self.seeds, self.method = job, seeds, method
        self.volumes_dir = volumes_dir
        self.schedule, self.patch = method.options.training, method.options.patch
        self.channels = _channel_of_value(job.classes)
        train = splits.loc[splits["split"] == "train", "sweep"]
        self.sweeps = sorted(s for s in train if (Path(pseudolabels_dir) / f"{s}.nii.gz").is_file())
        if not self.sweeps:
            raise InputError(
                file=pseudolabels_dir, found="no pseudo-labelled sweep of a training patient",
                expected="at least one sweep to train on",
                remedy="annotate key frames of training patients, or relax the gate of `pseudolabel`",
            )  # fmt: skip
        self.validation_sweeps = sorted(splits.loc[splits["split"] == "val", "sweep"])
        rng(job.seed, "finetune", "validation_sweeps").shuffle(self.validation_sweeps)
        self.validation_sweeps = self.validation_sweeps[: self.schedule.validation_sweeps]

        @lru_cache(maxsize=self.schedule.cached_cases)
        def load(sweep: str) -> tuple[np.ndarray, np.ndarray]:
            image, label = load_pseudolabelled(volumes_dir, pseudolabels_dir, sweep)
            padded, inside = pad_to(image, self.patch)
            known = np.full(padded.shape, IGNORE, dtype=np.uint8)
            known[inside] = self.channels[label]
            return normalise(padded)[0, 0].numpy(), known

        self.load = load

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """Images (b, 1, d, h, w) and channel numbers (b, d, h, w), 255 where nothing is known, of one step."""
        random = rng(self.seeds[0], *self.seeds[1:], "batch", step)
        images, labels = [], []
        for _ in range(self.schedule.batch_size):
            image, label = self.load(self.sweeps[int(random.integers(len(self.sweeps)))])
            part = place_patch(label, self.patch, self.schedule.foreground, random)
            images.append(torch.from_numpy(image[part]))
            labels.append(torch.from_numpy(label[part]))
        return augment(
            torch.stack(images)[:, None], torch.stack(labels), self.schedule.augmentation, random
        )

    def validate(self) -> float:
        """Mean over classes of the mean Dice (0..100) on annotated key frames; NaN without any."""
        scores: dict[str, list[float]] = {}
        for name in self.validation_sweeps:
            sweep = load_sweep(self.volumes_dir, name)
            labels = self.method.segment(sweep.image, None, self.job.classes, None)
            known = sweep.key_frames != IGNORE
            for key, value in self.job.classes.items():
                truth = sweep.key_frames == value
                if truth.any():
                    predicted = (labels == value) & known
                    dice = 200.0 * int((predicted & truth).sum()) / int(predicted.sum() + truth.sum())
                    scores.setdefault(key, []).append(dice)
        return float(np.mean([np.mean(values) for values in scores.values()])) if scores else math.nan

    def describe(self) -> dict[str, Any]:
        """Facts for the record."""
        return {
            "steps": self.schedule.steps,
            "batch_size": self.schedule.batch_size,
            "clicks": 0,
            "sweeps": len(self.sweeps),
            "patch_dhw": list(self.patch),
        }


def place_patch(
    label: np.ndarray, patch: Sequence[int], foreground: float, random: np.random.Generator
) -> tuple[slice, slice, slice]:
    """Where a patch lies in a volume that is nowhere smaller than it.

    With the probability `foreground` around a voxel of a class drawn uniformly among those present (moved as little
    as needed to stay inside), else anywhere.
    """
    room = [length - side for length, side in zip(label.shape, patch, strict=True)]
    start = [int(random.integers(free + 1)) for free in room]
    values = np.unique(label)
    values = values[(values > 0) & (values != IGNORE)]
    if random.random() < foreground and values.size:
        found = np.flatnonzero(label == values[int(random.integers(values.size))])
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
