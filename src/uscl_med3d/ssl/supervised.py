"""Positive control: the same encoder is taught the probes' own targets, from the labels of all training patients.

If its features are no better than random weights, the probes ask what this encoder cannot learn, and say nothing of a
pretext task.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uscl_med3d.core.reporting import COLLAPSE
from uscl_med3d.core.seeds import derive, rng
from uscl_med3d.selfsupervised.base import collapse, pool_grid
from uscl_med3d.ssl.probe_frames import UNKNOWN, ProbeFrames
from uscl_med3d.train.engine import Group, Task


class Supervised(Task):
    """Binary cross-entropy of every target that is known of a frame, on frames as the probes see them."""

    columns = ("loss", *COLLAPSE)
    evaluate_first = True

    def __init__(
        self,
        encoder: nn.Module,
        width: int,
        train: ProbeFrames,
        val: ProbeFrames,
        batch: int,
        rate: float,
        seed: int,
    ) -> None:
        self.train, self.val, self.batch, self.rate, self.seed = train, val, batch, rate, seed
        self.device = next(encoder.parameters()).device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "ssl", "supervised head"))
            head = nn.Linear(width, len(train.targets)).to(self.device)
        self.encoder, self.head = encoder, head
        self.network = nn.ModuleDict({"encoder": encoder, "head": head})
        self.labels = torch.from_numpy(np.stack(list(train.targets.values()), 1)).float()

    def groups(self) -> list[Group]:
        """All weights, at one rate."""
        return [Group(list(self.network.parameters()), self.rate)]

    def loss(self, step: int) -> Mapping[str, Tensor]:
        """See `Task.loss`; a batch is drawn from all frames, each mirrored with probability one half."""
        random = rng(self.seed, "ssl", "supervised", step)
        chosen = torch.from_numpy(random.integers(0, len(self.labels), self.batch))
        images, labels = self.train.images[chosen], self.labels[chosen].to(self.device)
        mirrored = torch.from_numpy(random.random(self.batch) < 0.5)[:, None, None, None]
        images = torch.where(mirrored, images.flip(-1), images).to(self.device)
        logits = self.head(pool_grid(self.encoder(images)))
        each = F.binary_cross_entropy_with_logits(logits, labels.clamp(min=0), reduction="none")
        known = labels != UNKNOWN
        return {"loss": (each * known).sum() / known.sum().clamp(min=1)}

    def evaluate(self) -> Mapping[str, float]:
        """The collapse watch, on frames of validation patients."""
        if not len(self.val.images):
            return dict.fromkeys(COLLAPSE, math.nan)
        return collapse(pool_grid(self.encoder(self.val.images.to(self.device))).float())
