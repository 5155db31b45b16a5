"""Methods that learn in one go, without gradient: from all pseudo-labelled sweeps of training patients at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import nn

from uscl_med3d.methods.base import Example, Method
from uscl_med3d.train.engine import Progress
from uscl_med3d.train.sweeps import LabelledSweeps


class Fit:
    """One fit, in place of a training; see `Method.fit`."""

    parameters: Sequence[nn.Parameter] = ()

    def __init__(self, job: Any, method: Method, sweeps: LabelledSweeps) -> None:
        self.job, self.method = job, method
        self.examples = [Example(name, *sweeps.load_train(name)) for name in sweeps.train]

    def run(self) -> Progress:
        """Fit, and put the training patients' Dice into the only row of the learning curve, as a loss."""
        dice = self.method.fit(self.examples, self.job.classes, self.job.seed)
        row = {
            "step": 1.0,
            "loss": 1 - dice / 100,
            "learning_rate": math.nan,
            "validation_dice": math.nan,
        }
        return Progress(step=1, curve=[row])

    def describe(self) -> dict[str, Any]:
        """Facts for the record."""
        return {"training_sweeps": len(self.examples)}
