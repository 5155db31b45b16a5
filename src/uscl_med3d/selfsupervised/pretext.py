"""What every pretext task provides: views of unlabelled sweeps, heads, a loss, and measurements of whether it is learned."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from torch import nn

from uscl_med3d.core.params.base import Section
from uscl_med3d.selfsupervised.sweeps import SweepImages
from uscl_med3d.train.engine import Task


class Pretext(Task):
    """A `Task` whose network holds the encoder that is exported; heads and teachers are thrown away afterwards.

    Args:
        job: with `model`, `device`. options: of the task. encoder: crops (k, 1, s, s, s) -> embedding
            (k, c, g, g, g); what of it trains has `requires_grad`. sweeps: images of training and validation
            patients. seed: of this training; what is measured depends on `job.seed` only.

    Attributes:
        Options: typed options, without defaults; their values stand under `pretrain.tasks.<name>`.
        columns: of the learning curve, after `step` and `learning_rate`.
    """

    evaluate_first: ClassVar[bool] = True
    Options: ClassVar[type[Section]]
    columns: ClassVar[tuple[str, ...]]

    @abstractmethod
    def __init__(
        self, job: Any, options: Any, encoder: nn.Module, sweeps: SweepImages, seed: int
    ) -> None: ...
