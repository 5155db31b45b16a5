"""What the tasks have in common: frozen encoder with trained adapters, a head, images across patients, measurements."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from uscl_med3d.core.params.base import Section
from uscl_med3d.core.reporting import COLLAPSE
from uscl_med3d.selfsupervised.collapse import effective_rank, feature_std
from uscl_med3d.selfsupervised.frames import FrameDrawer
from uscl_med3d.selfsupervised.images import Augmentation, ViewDrawer
from uscl_med3d.selfsupervised.pretext import Pretext
from uscl_med3d.selfsupervised.sweeps import SweepImages
from uscl_med3d.train.engine import Group

_CHUNK = 8  # validation crops encoded at a time; no influence on results


class Options(Section):
    """Options of every task of this folder.

    Attributes:
        images: of a step, for each unit of `pretrain.schedule.batch_size`.
        learning_rate: of the adapters. head_learning_rate: of everything that is thrown away.
        validation_images: crops of each sweep of a validation patient, the same at every measurement.
    """

    images: int = Field(ge=2)
    learning_rate: float = Field(gt=0)
    head_learning_rate: float = Field(gt=0)
    validation_images: int = Field(ge=1)
    augmentation: Augmentation


class ImagePretext(Pretext):
    """A pretext task on crops of many patients at once; its head is made by `make_head`."""

    def __init__(self, job: Any, options: Any, encoder: nn.Module, sweeps: SweepImages, seed: int) -> None:
        self.job, self.options, self.seed = job, options, seed
        self.encoder, self.device = encoder, next(encoder.parameters()).device
        self.head: Any = self.make_head().to(self.device)
        self.network = nn.ModuleDict({"encoder": encoder, "head": self.head})
        drawer = FrameDrawer if sweeps.frames else ViewDrawer
        self.images = drawer(
            sweeps,
            options.augmentation,
            options.images * job.pretrain.schedule.batch_size,
            job.model.image_size,
            options.validation_images,
            seed,
            job.seed,
            self.device,
        )

    def make_head(self) -> nn.Module:
        """What is trained beside the adapters and thrown away."""
        raise NotImplementedError

    def groups(self) -> list[Group]:
        """The adapters, and the head at a rate of its own."""
        adapters = [value for value in self.encoder.parameters() if value.requires_grad]
        return [
            Group(adapters, self.options.learning_rate),
            Group(list(self.head.parameters()), self.options.head_learning_rate),
        ]

    def state(self) -> dict[str, Tensor]:
        """What is trained; the frozen encoder is left out."""
        return {
            name: value.detach().to("cpu", copy=True)
            for name, value in self.network.named_parameters()
            if value.requires_grad
        }

    @torch.no_grad()
    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """See `Task.load_state`."""
        own = dict(self.network.named_parameters())
        for name, value in tensors.items():
            own[name].copy_(value)

    def pool(self, crops: Tensor) -> Tensor:
        """Mean of the encoder's output over its grid, (n, 1, s, s[, s]) -> (n, c) float32."""
        return pool_grid(self.encoder(crops)).float()

    def encode(self, crops: Tensor) -> Tensor:
        """The encoder's output in parts, for measuring: (n, 1, s, s[, s]) -> (n, c, g, g[, g]) float32."""
        return torch.cat([self.encoder(part).float() for part in crops.split(_CHUNK)])


def pool_grid(embedding: Tensor) -> Tensor:
    """Mean over all axes behind the second, (n, c, ...) -> (n, c)."""
    return embedding.flatten(2).mean(-1)


def collapse(features: Tensor | None) -> dict[str, float]:
    """The columns of the collapse watch, of pooled features (n, c) of validation images; NaN without any."""
    if features is None:
        return dict.fromkeys(COLLAPSE, math.nan)
    return dict(zip(COLLAPSE, (feature_std(features), effective_rank(features)), strict=True))
