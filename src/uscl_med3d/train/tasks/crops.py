"""Fine-tuning on crops: the encoder learns to see structures, then objects are clicked.

Where the encoder is trained, the first steps learn every structure of a crop, voxel by voxel: clicks alone teach a decoder
where clicks lie before they teach an encoder to look. Then the loss is taken after the first click and a later one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.seeds import rng
from uscl_med3d.methods.base import ClickMethod
from uscl_med3d.train.augment import augment_crop
from uscl_med3d.train.clicking import Crop, draw_objects, learn_from_clicks
from uscl_med3d.train.crops import CropSource, draw_balanced
from uscl_med3d.train.dense import DenseFirst, dense_loss, majority
from uscl_med3d.train.engine import Group
from uscl_med3d.train.sweeps import LabelledSweeps
from uscl_med3d.train.tasks.base import FinetuneTask
from uscl_med3d.train.validation import choose_validation_crops, validate


class CropClicks(FinetuneTask):
    """Every step draws new crops: a class, a sweep that shows it, a voxel; all runs of a training seed see the same.

    Raises:
        InputError: where no class has enough voxels anywhere.
    """

    def __init__(self, job: Any, method: ClickMethod, sweeps: LabelledSweeps) -> None:
        self.job, self.method, self.network, self.schedule = job, method, method.network, job.finetune
        self.seeds = (job.seed, "finetune", job.run.training_seed)
        schedule, size = self.schedule, job.model.image_size
        self.parameters = method.prepare_training()
        self.dense = DenseFirst(
            None if method.embeds_once else method,
            schedule.dense,
            schedule.steps,
            dimensions=3,
            classes=max(job.classes.values()),
            seeds=self.seeds,
        )
        self.source = CropSource(sweeps.load_train, size, schedule.cached_cases)
        self.targets = self.source.find_targets(sweeps.train, job.classes, schedule.min_target_voxels)
        if not self.targets:
            raise InputError(
                file=sweeps.pseudolabels,
                found=f"{len(sweeps.train)} pseudo-labelled sweep(s) of training patients, none with "
                f"{schedule.min_target_voxels} voxels of a class",
                expected="at least one accepted target to train on",
                remedy="annotate key frames of training patients, or relax the gate of `pseudolabel`",
            )
        self.of_class: dict[str, list[int]] = {}
        for index, target in enumerate(self.targets):
            self.of_class.setdefault(target.name, []).append(index)
        self.validation_source = CropSource(sweeps.load_validation, size, schedule.cached_cases)
        held_back = self.validation_source.find_targets(sweeps.validation, job.classes, 1)
        self.validation_crops = choose_validation_crops(
            self.validation_source, held_back, schedule.validation_targets, job.seed, "finetune"
        )

    def groups(self) -> list[Group]:
        """See `Task.groups`."""
        return [Group(self.parameters, self.method.learning_rate()), *self.dense.groups()]

    def state(self) -> dict[str, Tensor]:
        """What the tuning trains, and the head of the dense steps."""
        return super().state() | self.dense.state()

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """See `Task.load_state`."""
        super().load_state(self.dense.load_state(tensors))

    def loss(self, step: int) -> Mapping[str, Tensor]:
        """See `dense_loss` for the first steps, `learn_from_clicks` for the others."""
        random = rng(*self.seeds, "batch", step)
        crops = self.draw_crops(random)
        return {
            "loss": self._learn_structures(crops)
            if step < self.dense.steps
            else self._learn_clicks(crops, random)
        }

    def _learn_structures(self, crops: Sequence[Crop]) -> Tensor:
        logits = self.dense.logits(torch.from_numpy(np.stack([image for image, _, _ in crops])[:, None]))
        factor = crops[0][1].shape[0] // logits.shape[-1]
        cells = [majority(label, factor, self.schedule.dense.majority) for _, label, _ in crops]
        losses = [
            dense_loss(one, torch.from_numpy(cell).to(one.device))
            for one, cell in zip(logits, cells, strict=True)
        ]
        return torch.stack(losses).mean()

    def _learn_clicks(self, crops: Sequence[Crop], random: np.random.Generator) -> Tensor:
        schedule = self.schedule
        batch = draw_objects(crops, schedule.objects_per_crop, schedule.min_target_voxels, random)
        with torch.set_grad_enabled(not self.method.embeds_once):
            embedding = self.method.embed(torch.from_numpy(batch.images))
        last = int(random.integers(2, schedule.clicks + 1)) if schedule.clicks > 1 else 1
        return learn_from_clicks(
            self.method,
            embedding,
            batch,
            last=last,
            at_once=schedule.clicks_at_once,
            simulator=schedule.click_simulator,
            quality_weight=schedule.quality_weight,
            random=random,
        )

    def draw_crops(self, random: np.random.Generator) -> list[Crop]:
        """The crops of one step, with the values of their objects."""
        chosen = draw_balanced(self.of_class, self.schedule.batch_size, random)
        crops: list[Crop] = []
        for index in chosen:
            target = self.targets[index]
            plain = self.source.cut_labels(self.source.draw_crop(target, random))[:2]
            image, label = augment_crop(*plain, self.schedule.augmentation, random)
            if not (label == target.value).any():  # a small target was turned out of the crop
                image, label = plain
            values = [(target.value,)] + [
                (value,) for _, value in sorted(self.job.classes.items()) if value != target.value
            ]
            crops.append((image, label, values))
        return crops

    def evaluate(self) -> dict[str, float]:
        """Mean Dice (0..100) of fixed crops of validation patients, on their annotated key frames."""
        schedule = self.schedule
        return {
            "validation_dice": validate(
                self.method,
                self.validation_source,
                self.validation_crops,
                clicks=schedule.validation_clicks,
                simulator=schedule.click_simulator,
                seeds=(self.job.seed, "finetune"),
            )
        }

    def describe(self) -> dict[str, Any]:
        """Facts for the record."""
        return {
            "steps": self.schedule.steps,
            "dense_steps": self.dense.steps,
            "batch_size": self.schedule.batch_size,
            "clicks": self.schedule.clicks,
            "objects_per_crop": self.schedule.objects_per_crop,
            "targets": len(self.targets),
            "sweeps": len({target.case for target in self.targets}),
        }


TASK = CropClicks
