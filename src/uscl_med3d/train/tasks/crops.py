"""Fine-tuning on crops: objects are clicked, and the loss is taken after the first click and a later one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.seeds import rng
from uscl_med3d.methods.base import ClickMethod
from uscl_med3d.train.augment import augment_crop
from uscl_med3d.train.clicking import ObjectBatch, draw_objects, learn_from_clicks
from uscl_med3d.train.crops import CropSource, draw_balanced
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
        return [Group(self.parameters, self.method.learning_rate())]

    def loss(self, step: int) -> Mapping[str, Tensor]:
        """See `learn_from_clicks`."""
        schedule, random = self.schedule, rng(*self.seeds, "batch", step)
        batch = self.draw(random)
        with torch.set_grad_enabled(not self.method.embeds_once):
            embedding = self.method.embed(torch.from_numpy(batch.images))
        last = int(random.integers(2, schedule.clicks + 1)) if schedule.clicks > 1 else 1
        loss = learn_from_clicks(
            self.method,
            embedding,
            batch,
            last=last,
            simulator=schedule.click_simulator,
            quality_weight=schedule.quality_weight,
            random=random,
        )
        return {"loss": loss}

    def draw(self, random: np.random.Generator) -> ObjectBatch:
        """The crops and clicked objects of one step."""
        chosen = draw_balanced(self.of_class, self.schedule.batch_size, random)
        crops = []
        for index in chosen:
            target = self.targets[index]
            image, label, _ = self.source.cut_labels(self.source.draw_crop(target, random))
            image, label = augment_crop(image, label, self.schedule.augmentation, random)
            values = [(target.value,)] + [
                (value,) for _, value in sorted(self.job.classes.items()) if value != target.value
            ]
            crops.append((image, label, values))
        return draw_objects(crops, self.schedule.objects_per_crop, self.schedule.min_target_voxels, random)

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
            "batch_size": self.schedule.batch_size,
            "clicks": self.schedule.clicks,
            "objects_per_crop": self.schedule.objects_per_crop,
            "targets": len(self.targets),
            "sweeps": len({target.case for target in self.targets}),
        }


TASK = CropClicks
