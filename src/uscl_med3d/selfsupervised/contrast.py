"""SimCLR on the encoder's adapters, with or without negatives of the same patient."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.base import Section
from uscl_med3d.core.reporting import COLLAPSE
from uscl_med3d.selfsupervised.base import ImagePretext, Options, collapse, pool_grid
from uscl_med3d.selfsupervised.heads import projection_head
from uscl_med3d.selfsupervised.losses import ntxent

RETRIEVAL = ("validation_loss", "validation_accuracy", "validation_chance")


class ContrastOptions(Options):
    """Options of SimCLR, beside those of all tasks: widths of the three-layer head, and the temperature."""

    hidden_dim: int = Field(ge=1)
    head_dim: int = Field(ge=2)
    temperature: float = Field(gt=0)


class Contrast(ImagePretext):
    """Two views of an image attract each other; all other images repel.

    Attributes:
        leave_out_same_patient: other images of the same patient neither attract nor repel.
    """

    Options: ClassVar[type[Section]] = ContrastOptions
    columns: ClassVar[tuple[str, ...]] = ("loss", *RETRIEVAL, *COLLAPSE)
    leave_out_same_patient: ClassVar[bool]

    def make_head(self) -> nn.Module:
        """Three layers, as in SimCLR's second version of the code."""
        hidden = self.options.hidden_dim
        widths = [self.job.model.prompt_dim, hidden, hidden, self.options.head_dim]
        return projection_head(widths, self.seed, "simclr head")

    def loss(self, step: int) -> Mapping[str, Tensor]:
        """See `Task.loss`. Both views go through the head together, as in the official code."""
        views = self.images.training(step)
        if self.leave_out_same_patient and len(self.images.training_patients) < 2:
            raise InputError(
                file=self.images.sweeps.folder,
                found="sweeps of one training patient only",
                expected="at least two training patients: negatives come from other patients",
                remedy="choose another pretext task, or add patients to cohort.csv",
            )
        embedded = self.head(self.pool(torch.cat([views.first, views.second])))
        with torch.autocast(self.device.type, enabled=False):
            return {"loss": self._loss(embedded.float(), views.patients)}

    def _loss(self, embedded: Tensor, patients: Tensor) -> Tensor:
        first, second = embedded.chunk(2)
        owners = patients if self.leave_out_same_patient else None
        return ntxent(first, second, self.options.temperature, owners)

    def evaluate(self) -> Mapping[str, float]:
        """On fixed views of validation patients: the loss, and how often an image's other view is the nearest.

        The loss is NaN where every validation image is of one patient and those of the same patient are left out.
        """
        views = self.images.validation()
        if views is None:
            return dict.fromkeys(RETRIEVAL, math.nan) | collapse(None)
        features = pool_grid(self.encode(torch.cat([views.first, views.second])))
        embedded = self.head(features)
        comparable = not self.leave_out_same_patient or len(views.patients.unique()) > 1
        loss = float(self._loss(embedded, views.patients)) if comparable else math.nan
        return dict(
            zip(RETRIEVAL, (loss, *retrieval(embedded)), strict=True), **collapse(features.chunk(2)[0])
        )


def retrieval(embedded: Tensor) -> tuple[float, float]:
    """Share of views (2n, c) whose other view has the greatest cosine of all, and the share by chance."""
    views = F.normalize(embedded, dim=-1)
    similarity = (views @ views.T).fill_diagonal_(-math.inf)
    count = len(views)
    other = (torch.arange(count, device=views.device) + count // 2) % count
    return float((similarity.argmax(-1) == other).double().mean()), 1 / (count - 1)
