"""Fine-tuning of 2D methods on frames: one object is clicked in several slices of one sweep a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uscl_med3d.clicks.simulators import SIMULATORS, draw_first_click
from uscl_med3d.core.errors import InputError
from uscl_med3d.core.seeds import rng
from uscl_med3d.methods.base import SliceMethod
from uscl_med3d.train.crops import IGNORE, CropSource, draw_balanced
from uscl_med3d.train.engine import Group
from uscl_med3d.train.losses import dice_cross_entropy
from uscl_med3d.train.sweeps import LabelledSweeps
from uscl_med3d.train.tasks.base import FinetuneTask

NO_CLICK = (0, 0, -1)


class SliceClicks(FinetuneTask):
    """Dice and cross-entropy after the first click and a later one, in slices that show the object.

    Raises:
        InputError: where no class has enough voxels anywhere.
    """

    def __init__(self, job: Any, method: SliceMethod, sweeps: LabelledSweeps) -> None:
        self.job, self.method, self.network, self.schedule = job, method, method.network, job.finetune
        self.seeds = (job.seed, "finetune", job.run.training_seed)
        self.parameters = method.prepare_training()
        schedule = self.schedule
        self.source = CropSource(sweeps.load_train, 1, schedule.cached_cases)
        self.targets = self.source.find_targets(sweeps.train, job.classes, schedule.min_target_voxels)
        if not self.targets:
            raise InputError(
                file=sweeps.pseudolabels,
                found=f"no target of {schedule.min_target_voxels} voxels",
                expected="at least one accepted target to train on",
                remedy="annotate key frames of training patients, or relax the gate of `pseudolabel`",
            )
        self.of_class: dict[str, list[int]] = {}
        for index, target in enumerate(self.targets):
            self.of_class.setdefault(target.name, []).append(index)
        self.validation_source = CropSource(sweeps.load_validation, 1, schedule.cached_cases)
        held_back = self.validation_source.find_targets(
            sweeps.validation, job.classes, schedule.min_target_voxels
        )
        self.validation = held_back[: schedule.validation_targets]

    def groups(self) -> list[Group]:
        """See `Task.groups`."""
        return [Group(self.parameters, self.method.learning_rate())]

    def loss(self, step: int) -> Mapping[str, Tensor]:
        """See the class."""
        random = rng(*self.seeds, "batch", step)
        (index,) = draw_balanced(self.of_class, 1, random)
        target = self.targets[index]
        image, label = self.source.load(target.case)
        showing = np.flatnonzero((label == target.value).any((1, 2)))
        chosen = np.sort(random.permutation(showing)[: self.schedule.batch_size])
        last = int(random.integers(2, self.schedule.clicks + 1)) if self.schedule.clicks > 1 else 1
        return {"loss": self._click(image, label[chosen], target.value, chosen, last, random)[0]}

    def evaluate(self) -> dict[str, float]:
        """Mean over classes of the mean Dice (0..100) after the last click, on annotated key frames."""
        found: dict[str, list[float]] = {}
        for target in self.validation:
            image, label = self.validation_source.load(target.case)
            showing = np.flatnonzero((label == target.value).any((1, 2)))
            random = rng(self.job.seed, "finetune", "validation", target.case, target.name)
            clicks = self.schedule.validation_clicks
            _, masks = self._click(image, label[showing], target.value, showing, clicks, random)
            truth = label[showing] == target.value
            dice = 200.0 * float((masks & truth).sum()) / float(masks.sum() + truth.sum())
            found.setdefault(target.name, []).append(dice)
        mean = float(np.mean([np.mean(values) for values in found.values()])) if found else float("nan")
        return {"validation_dice": mean}

    def _click(
        self,
        image: np.ndarray,
        label: np.ndarray,
        value: int,
        slices: np.ndarray,
        last: int,
        random: np.random.Generator,
    ) -> tuple[Tensor, np.ndarray]:
        """Mean loss after the first and the last click, and the last masks (n, h, w)."""
        truth, known = label == value, label != IGNORE
        images = self.method.prepare(torch.from_numpy(image.astype(np.float32)))[torch.from_numpy(slices)]
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.method.embeds_once):
            embedding = self.method.embed(images)
        state = self.method.start(embedding, (truth.shape[1], truth.shape[2]))
        target, counts = (
            torch.from_numpy(part)[:, None].float().to(embedding.device) for part in (truth, known)
        )
        simulate = SIMULATORS[self.schedule.click_simulator]
        clicks = [[draw_first_click(one[None], random)[1:]] for one in truth]
        total, masks = torch.zeros((), device=embedding.device), np.zeros_like(truth)
        for number in range(1, last + 1):
            learned = number in (1, last)
            table = torch.tensor(clicks)
            with torch.set_grad_enabled(torch.is_grad_enabled() and learned):
                logits = self.method.click(state, table[..., :2].float(), table[..., 2])
            if learned:
                total = total + dice_cross_entropy(logits, target, counts)
            masks = (logits.detach()[:, 0] > 0).cpu().numpy() & known
            if number < last:
                for history, mask, one in zip(clicks, masks, truth, strict=True):
                    click = simulate(mask[None], one[None], random)
                    history.append(click[1:] if click else NO_CLICK)
        return total / (2 if last > 1 else 1), masks

    def describe(self) -> dict[str, Any]:
        """Facts for the record."""
        return {
            "steps": self.schedule.steps,
            "batch_size": self.schedule.batch_size,
            "clicks": self.schedule.clicks,
            "targets": len(self.targets),
            "sweeps": len({target.case for target in self.targets}),
        }


TASK = SliceClicks
