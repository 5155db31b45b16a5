"""Controls: the same encoder is taught what the cells of training frames show, through a linear head on the probed maps.

Positive control: if this is no better than random weights, the probes ask what the encoder cannot learn, and say nothing
of a pretext task. Negative control: taught the masks of other frames, it must be no better than random weights.
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
from uscl_med3d.nets.frame_resnet import FrameResNet
from uscl_med3d.selfsupervised.base import collapse, pool_grid
from uscl_med3d.ssl.maps import stack_stages
from uscl_med3d.ssl.probe_frames import UNKNOWN, ProbeFrames
from uscl_med3d.train.engine import Group, Task

_FIRST_WEIGHT, _FIRST_BIAS = 0.1, -2.5  # of the head; the bias is that of a share of 8 % of the cells


class Supervised(Task):
    """Binary cross-entropy of every target that is known of a cell, on frames as the probes see them.

    Args:
        width: channels of the stacked maps of all stages.
    """

    columns = ("loss", *COLLAPSE)
    evaluate_first = True

    def __init__(
        self,
        encoder: FrameResNet,
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
            head = nn.Conv2d(width, len(train.targets), 1)
            assert head.bias is not None
            # Start near the answer "no", which most cells have, and not at a guess that has to be unlearnt.
            nn.init.constant_(head.bias, _FIRST_BIAS)
            with torch.no_grad():
                head.weight.mul_(_FIRST_WEIGHT)
        head = head.to(self.device)
        self.encoder, self.head = encoder, head
        self.network = nn.ModuleDict({"encoder": encoder, "head": head})
        # (n, targets, g, g)
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
        labels = torch.where(mirrored.to(self.device), labels.flip(-1), labels)
        logits = self.head(stack_stages(self.encoder, images, self.train.grid))
        each = F.binary_cross_entropy_with_logits(logits, labels.clamp(min=0), reduction="none")
        known = labels != UNKNOWN
        return {"loss": (each * known).sum() / known.sum().clamp(min=1)}

    def evaluate(self) -> Mapping[str, float]:
        """The collapse watch, on frames of validation patients."""
        if not len(self.val.images):
            return dict.fromkeys(COLLAPSE, math.nan)
        return collapse(pool_grid(self.encoder(self.val.images.to(self.device))).float())
