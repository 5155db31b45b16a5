"""What every fine-tuning task has beyond a `Task`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from uscl_med3d.core.params.schedule import Schedule
from uscl_med3d.methods.base import Method
from uscl_med3d.train.engine import Task


class FinetuneTask(Task):
    """Trains what a method's tuning chose.

    Attributes:
        method: what is trained. parameters: of it that train. schedule: numbers of the training.
    """

    metric: ClassVar[str | None] = "validation_dice"
    method: Method
    parameters: Sequence[nn.Parameter]
    schedule: Schedule

    def state(self) -> dict[str, Tensor]:
        """What the tuning trains."""
        return self.method.trained_state()

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """See `Task.load_state`."""
        self.method.load_trained(tensors)

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Deterministic facts for the record."""
