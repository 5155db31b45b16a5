"""BYOL: predict the other view's projection by a moving average of oneself; there are no negatives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from uscl_med3d.core.params.base import Section
from uscl_med3d.core.reporting import COLLAPSE
from uscl_med3d.selfsupervised.base import ImagePretext, Options, collapse, pool_grid
from uscl_med3d.selfsupervised.contrast import RETRIEVAL, retrieval
from uscl_med3d.selfsupervised.heads import projection_head
from uscl_med3d.selfsupervised.images import Views
from uscl_med3d.selfsupervised.losses import byol_loss, byol_momentum
from uscl_med3d.selfsupervised.sweeps import SweepImages


class ByolOptions(Options):
    """Options of BYOL, beside those of all tasks: widths of projector and predictor, and the first momentum."""

    hidden_dim: int = Field(ge=1)
    head_dim: int = Field(ge=2)
    momentum: float = Field(ge=0, le=1)


class Target:
    """Moving average of adapters and projector; the frozen encoder is shared with the online network.

    The projector starts from weights of its own, as in the official code; the adapters start as copies.
    """

    def __init__(self, online: nn.Module, own_projector: nn.Module) -> None:
        self.online = online
        self.tensors = {
            name: value.detach().clone() for name, value in online.named_parameters() if value.requires_grad
        }
        for name, value in own_projector.named_parameters():
            self.tensors[f"projector.{name}"] = value.detach().clone()

    @torch.no_grad()
    def update(self, momentum: float) -> None:
        """target <- momentum * target + (1 - momentum) * online; parameters only."""
        values = dict(self.online.named_parameters())
        for name, tensor in self.tensors.items():
            tensor.mul_(momentum).add_(values[name].detach(), alpha=1 - momentum)

    @torch.no_grad()
    def project(self, crops: Tensor) -> Tensor:
        """As the online network with the target's tensors and without dropout; batch statistics are its own."""
        training = self.online.training
        self.online.eval()
        try:
            projected: Tensor = torch.func.functional_call(self.online, self.tensors, (crops,))
            return projected
        finally:
            self.online.train(training)


class Projected(nn.Module):
    """Encoder, mean over its grid, projector: (n, 1, s, s[, s]) -> (n, head_dim)."""

    def __init__(self, encoder: nn.Module, projector: nn.Module) -> None:
        super().__init__()
        self.encoder, self.projector = encoder, projector

    def forward(self, crops: Tensor) -> Tensor:
        return self.projector(pool_grid(self.encoder(crops)))


class Byol(ImagePretext):
    """Grill et al. 2020. Each view goes through the networks alone, so its batch statistics are its own."""

    Options: ClassVar[type[Section]] = ByolOptions
    columns: ClassVar[tuple[str, ...]] = ("loss", *RETRIEVAL, *COLLAPSE)

    def __init__(self, job: Any, options: Any, encoder: nn.Module, sweeps: SweepImages, seed: int) -> None:
        super().__init__(job, options, encoder, sweeps, seed)
        self.online = Projected(encoder, self.head["projector"])
        self.target = Target(self.online, self._projector("byol target").to(self.device))

    def _projector(self, name: str) -> nn.Sequential:
        widths = [self.job.model.prompt_dim, self.options.hidden_dim, self.options.head_dim]
        return projection_head(widths, self.seed, name)

    def make_head(self) -> nn.ModuleDict:
        """Projector and predictor."""
        widths = [self.options.head_dim, self.options.hidden_dim, self.options.head_dim]
        predictor = projection_head(widths, self.seed, "byol predictor")
        return nn.ModuleDict({"projector": self._projector("byol projector"), "predictor": predictor})

    def loss(self, step: int) -> Mapping[str, Tensor]:
        """See `Task.loss`."""
        self.follow(step)
        return {"loss": self._loss(self.images.training(step))[0]}

    def follow(self, step: int) -> None:
        """The target first takes in what the step before has taught the online network."""
        if step > 0:
            steps = self.job.pretrain.schedule.steps
            self.target.update(byol_momentum(step - 1, steps, self.options.momentum))

    def _loss(self, views: Views) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The loss, and the pooled features of both views."""
        crops = (views.first, views.second)
        targets = [self.target.project(part).float() for part in crops]
        features = (self.pool(crops[0]), self.pool(crops[1]))
        projected = [self.head["projector"](part) for part in features]
        predictions = [self.head["predictor"](part).float() for part in projected]
        with torch.autocast(self.device.type, enabled=False):
            return byol_loss((predictions[0], predictions[1]), (targets[0], targets[1])), features

    def evaluate(self) -> Mapping[str, float]:
        """On fixed views of validation patients: the loss, and how often an image's other view is the nearest."""
        views = self.images.validation()
        if views is None or len(views.first) < 2:  # batch statistics need two images
            return dict.fromkeys(RETRIEVAL, math.nan) | collapse(None)
        features = [pool_grid(self.encode(part)) for part in (views.first, views.second)]
        projected = torch.cat([self.head["projector"](part) for part in features])
        found = (float(self._loss(views)[0]), *retrieval(projected))
        return dict(zip(RETRIEVAL, found, strict=True), **collapse(features[0]))

    def state(self) -> dict[str, Tensor]:
        """What is trained, and the target's copies of it."""
        target = {f"target.{name}": value.to("cpu", copy=True) for name, value in self.target.tensors.items()}
        return super().state() | target

    @torch.no_grad()
    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """See `Task.load_state`."""
        online = {}
        for name, value in tensors.items():
            if name.startswith("target."):
                self.target.tensors[name.removeprefix("target.")].copy_(value)
            else:
                online[name] = value
        super().load_state(online)


PRETEXT = Byol
