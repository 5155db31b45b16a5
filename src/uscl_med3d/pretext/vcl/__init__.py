"""VCL: which quadrant of the image plane does a random crop overlap, and how much (equations 3-6 of the paper)?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.base import Section
from uscl_med3d.core.seeds import rng, torch_generator
from uscl_med3d.pretext.vcl.crops import augment, draw_crops
from uscl_med3d.pretext.vcl.head import VclHead
from uscl_med3d.pretext.vcl.losses import Terms, constant_prediction_loss
from uscl_med3d.pretext.vcl.net import Batch, Teacher, VclNet, compute_terms
from uscl_med3d.selfsupervised.pretext import Pretext
from uscl_med3d.selfsupervised.sweeps import SweepImages
from uscl_med3d.train.engine import Group

_MEASURED = (
    "loss",
    "prediction_loss",
    "regularisation_loss",
    "accuracy",
    "constant_prediction_loss",
    "chance",
)


class Augmentation(Section):
    """Random changes of each crop, as in VoCo; the paper names none."""

    flip_probability: float = Field(ge=0, le=1)
    rotate_probability: float = Field(ge=0, le=1)
    shift_probability: float = Field(ge=0, le=1)
    shift: float = Field(ge=0)


class VclOptions(Section):
    """See params.yaml, `pretrain.tasks.vcl`."""

    form: Literal["paper", "code"]
    log_margin: float = Field(gt=0, lt=1)
    base_grid: tuple[int, int, int]
    random_crops: int = Field(ge=1)
    momentum: float = Field(ge=0, le=1)
    head: Literal["linear", "mlp"]
    head_hidden_dim: int = Field(ge=1)
    head_dim: int = Field(ge=2)
    head_components: int = Field(ge=2)
    head_learning_rate: float = Field(gt=0)
    learning_rate: float = Field(gt=0)
    whitening_sweeps: int = Field(ge=1)
    augmentation: Augmentation
    validation_crops: int = Field(ge=1)


class Vcl(Pretext):
    """Student and teacher; the teacher is a moving average of what the student trains."""

    Options: ClassVar[type[Section]] = VclOptions
    columns: ClassVar[tuple[str, ...]] = (*_MEASURED[:3], *(f"validation_{name}" for name in _MEASURED))

    def __init__(
        self, job: Any, options: VclOptions, encoder: nn.Module, sweeps: SweepImages, seed: int
    ) -> None:
        self.job, self.options, self.sweeps, self.seed = job, options, sweeps, seed
        self.batch_size = job.pretrain.schedule.batch_size
        head = VclHead(
            options.head,
            job.model.prompt_dim,
            options.head_hidden_dim,
            options.head_dim,
            options.head_components,
            torch_generator(seed, "pretrain", "head"),
        )
        self.device = next(encoder.parameters()).device
        self.network = self.student = VclNet(encoder, head).to(self.device)
        self._whiten()
        self.teacher = Teacher(self.student, options.momentum)

    @torch.no_grad()
    def _whiten(self) -> None:
        """Start the head from the base encoder's features of training crops (new adapters change nothing)."""
        options, names = self.options, self.sweeps.train
        chosen = rng(self.seed, "pretrain", "whitening").permutation(len(names))
        features = []
        for index in chosen[: options.whitening_sweeps]:
            stream = rng(self.seed, "pretrain", "whitening", names[index])
            random, base, _ = self._draw(names[index], options.random_crops, stream)
            features.append(self.student.pool(torch.cat([random, base])))
        self.student.head.whiten(torch.cat(features))

    # ------------------------------------------------------------------------------------------ training
    def groups(self) -> list[Group]:
        """The adapters, and the head at a rate of its own."""
        adapters = [value for value in self.student.encoder.parameters() if value.requires_grad]
        return [
            Group(adapters, self.options.learning_rate),
            Group(list(self.student.head.parameters()), self.options.head_learning_rate),
        ]

    def loss(self, step: int) -> Mapping[str, Tensor]:
        """See `Task.loss`."""
        terms = self._terms(self._batch(step), update=True)
        return dict(zip(_MEASURED[:3], (terms.total, terms.prediction, terms.regularisation), strict=True))

    def state(self) -> dict[str, Tensor]:
        """What the student trains, and the teacher's copies of it."""
        student = {
            f"student.{name}": value.detach().to("cpu", copy=True)
            for name, value in self.student.named_parameters()
            if value.requires_grad
        }
        buffers = {
            f"buffer.{name}": value.to("cpu", copy=True) for name, value in self.student.head.named_buffers()
        }
        teacher = {
            f"teacher.{name}": value.to("cpu", copy=True) for name, value in self.teacher.tensors.items()
        }
        return student | buffers | teacher

    @torch.no_grad()
    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """See `Task.load_state`."""
        places: dict[str, dict[str, Tensor]] = {
            "student": dict(self.student.named_parameters()),
            "buffer": dict(self.student.head.named_buffers()),
            "teacher": self.teacher.tensors,
        }
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            places[part][rest].copy_(value)

    def _terms(self, batch: Batch, update: bool) -> Terms:
        return compute_terms(
            self.student, self.teacher, batch, self.options.form, self.options.log_margin, update
        )

    def _batch(self, step: int) -> Batch:
        """Crops of the step's sweeps; every sweep once per epoch, in an order of the epoch's own."""
        options, names, parts = self.options, self.sweeps.train, []
        for position in range(step * self.batch_size, (step + 1) * self.batch_size):
            epoch, place = divmod(position, len(names))
            sweep = names[rng(self.seed, "pretrain", "order", epoch).permutation(len(names))[place]]
            stream = rng(self.seed, "pretrain", "crops", position, sweep)
            random, base, labels = self._draw(sweep, options.random_crops, stream)
            changed = augment(torch.cat([random, base]), stream, **options.augmentation.model_dump())
            parts.append((changed[: len(random)], changed[len(random) :], labels))
        return Batch(*(torch.stack(part) for part in zip(*parts, strict=True)))

    def _draw(self, sweep: str, count: int, stream: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        volume = self.sweeps.load(sweep).to(self.device)
        try:
            random, base, labels = draw_crops(
                volume, self.options.base_grid, count, self.job.model.image_size, stream
            )
        except ValueError as error:
            raise InputError(
                file=self.sweeps.path(sweep),
                found=str(error),
                expected="at least one voxel per base crop on each axis",
                remedy="remove the sweep from cohort.csv, or choose another pretrain.tasks.vcl.base_grid",
            ) from error
        return random, base, labels.to(self.device)

    # ------------------------------------------------------------------------------------------ measuring
    def evaluate(self) -> dict[str, float]:
        """Losses and accuracy on fixed crops of validation patients, without augmentation; NaN without any.

        `accuracy`: share of crops whose most overlapping base crop is found; `chance`: the best constant answer's;
        `constant_prediction_loss`: the loss of the best constant answer. The task is learned where the prediction
        loss is below it.
        """
        losses, labels, logits = [], [], []
        for batch in self._validation_batches():
            terms = self._terms(batch, update=False)
            losses.append([terms.total.item(), terms.prediction.item(), terms.regularisation.item()])
            labels.append(batch.labels.cpu())
            logits.append(terms.logits.cpu())
        if not losses:
            return {f"validation_{name}": math.nan for name in _MEASURED}
        label, logit = torch.cat(labels), torch.cat(logits)
        wanted = label.argmax(-1)
        accuracy = (logit.argmax(-1) == wanted).double().mean().item()
        chance = wanted.flatten().bincount().max().item() / wanted.numel()
        constant = constant_prediction_loss(self.options.form, label, self.options.log_margin)
        values = [*np.mean(losses, 0).tolist(), accuracy, constant, chance]
        return {f"validation_{name}": value for name, value in zip(_MEASURED, values, strict=True)}

    def _validation_batches(self) -> Iterator[Batch]:
        for sweep in self.sweeps.validation:
            stream = rng(self.job.seed, "pretrain", "validation", sweep)
            yield Batch(*(part[None] for part in self._draw(sweep, self.options.validation_crops, stream)))


PRETEXT = Vcl
