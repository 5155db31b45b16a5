"""What every way of tuning provides."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field
from torch import Tensor, nn

from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.methods import Run


class TuningOptions(Section):
    """What every strategy is told: its own name, and the highest learning rate."""

    strategy: str
    learning_rate: float = Field(gt=0)


class Tuning(ABC):
    """One network being tuned; making one wraps the network in place, so that it still computes what it did.

    Parts of a network are named by the beginnings of its parameters' names: `image_encoder.`, `mask_decoder.`,
    `prompt_encoder.`, as in every SAM.

    Args:
        network: to be tuned. options: of the strategy. run: the cell of the sweep. seed: of fresh weights.

    Attributes:
        belongs: what the trained tensors belong to (method, base weights, `facts`); stored beside them.
    """

    Options: ClassVar[type[TuningOptions]] = TuningOptions
    belongs: dict[str, str]

    def __init__(self, network: nn.Module, options: Any, run: Run, seed: int) -> None:
        self.network, self.options, self.run, self.seed = network, options, run, seed

    @property
    @abstractmethod
    def trains_encoder(self) -> bool:
        """Whether something trains that the image embedding depends on."""

    @abstractmethod
    def trained(self) -> dict[str, nn.Parameter]:
        """The parameters that train, by the names they are stored under."""

    def prepare(self) -> list[nn.Parameter]:
        """Freeze everything else; the parameters that train, in order."""
        self.network.requires_grad_(False)
        parameters = list(self.trained().values())
        for value in parameters:
            value.requires_grad_(True)
        return parameters

    def state(self) -> dict[str, Tensor]:
        """Copies of the trained tensors on the CPU."""
        return {
            name: value.detach().to("cpu", copy=True).contiguous() for name, value in self.trained().items()
        }

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `state` returned. Raises `ValueError` that names the first differences."""
        copy_into(self.trained(), tensors)

    def load_start(self, path: Path, base_sha256: str) -> None:
        """Start from the encoder that a pretext task exported for these base weights."""
        raise ValueError(
            f"tuning by {self.options.strategy} does not start from a pretrained encoder: {path}"
        )

    def facts(self) -> dict[str, str]:
        """What the trained tensors are useless without."""
        return {}

    def describe(self) -> dict[str, Any]:
        """Deterministic facts for the record."""
        return {}

    def off(self) -> contextlib.AbstractContextManager[None]:
        """Within the context the network computes as its base model."""
        raise NotImplementedError(f"{type(self).__name__} has no adapters")


def copy_into(parameters: Mapping[str, nn.Parameter | Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Copy stored tensors into parameters of the same names and shapes.

    Raises:
        ValueError: names the first differences.
    """
    import torch

    wrong = sorted(set(parameters) ^ set(tensors))
    wrong += [n for n in sorted(parameters) if n in tensors and parameters[n].shape != tensors[n].shape]
    if wrong:
        raise ValueError(
            f"{len(wrong)} tensors missing, unexpected or of another shape: {', '.join(wrong[:4])}"
        )
    with torch.no_grad():
        for name, value in parameters.items():
            value.copy_(tensors[name])
