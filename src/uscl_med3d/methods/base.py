"""The interface of a method: load once, encode once, predict per click.

A method never sees a reference mask and never computes a metric; the judge (`uscl_med3d.evaluate`) does.
A new method is one module here with a class `METHOD`, and one key of the same name in params.yaml.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.base import Section


@dataclass(frozen=True)
class Card:
    """Where a method comes from, and how it sees intensities."""

    paper: str
    code: str
    licence: str
    normalisation: str


class Method(ABC):
    """One promptable method, ready to predict; `load` makes one.

    Attributes:
        network: the module that `save` and training work on.
        embeds_once: after `prepare_training`: no trained parameter lies before the embedding, so the
            embedding of a crop never changes and may be computed once (`embed`, then `start`).
    """

    card: ClassVar[Card]
    Options: ClassVar[type[Section]]
    network: nn.Module
    embeds_once: bool

    # ------------------------------------------------------------------------------------------ prediction
    @classmethod
    @abstractmethod
    def load(cls, job: Any, base_weights: Path, checkpoint: Path | None, vcl_weights: Path | None) -> Method:
        """Build the method of `job.run` on `base_weights`.

        Args:
            job: a job with `seed`, `device`, `model`, `run` and `method` (its options).
            base_weights: the base model's weights.
            checkpoint: what `save` wrote after training, or None for the untrained start.
            vcl_weights: the pretrained encoder adapter, for runs that start from one.

        Raises:
            InputError: for files that do not fit the job.
        """

    @abstractmethod
    def embed(self, crops: Tensor) -> Tensor:
        """Raw intensities (b, 1, d, h, w), zero outside the acquisition -> embedding (b, ...)."""

    @abstractmethod
    def start(self, embedding: Tensor) -> Any:
        """A fresh state, without any click, on embedded crops."""

    def encode(self, crops: Tensor) -> Any:
        """A fresh state for raw crops (b, 1, d, h, w)."""
        return self.start(self.embed(crops))

    @abstractmethod
    def click(self, state: Any, points: Tensor, labels: Tensor) -> Tensor:
        """Predict after the clicks so far, and keep in `state` what the next prediction needs.

        Args:
            state: of `encode`; changed in place.
            points: all clicks so far, (b, n, 3) in (d, h, w) voxel indices of the crops, the newest last.
            labels: (b, n); 1 object, 0 background, -1 no click (padding where a case needed fewer clicks).

        Returns:
            logits (b, 1, d, h, w); above zero is object.
        """

    # ------------------------------------------------------------------------------------------ training
    def prepare_training(self) -> list[nn.Parameter]:
        """Choose what trains (set `requires_grad` and `embeds_once`); return those parameters in order."""
        raise NotImplementedError(f"{type(self).__name__} is not trained")

    def trained_state(self) -> dict[str, Tensor]:
        """Names and current values of everything that training changes."""
        raise NotImplementedError(f"{type(self).__name__} is not trained")

    def load_trained(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `trained_state` returned."""
        raise NotImplementedError(f"{type(self).__name__} is not trained")

    def save(self, path: Path) -> None:
        """Write the trained tensors, with what they belong to, so that `load` can check it."""
        raise NotImplementedError(f"{type(self).__name__} is not trained")

    def describe(self) -> dict[str, Any]:
        """Deterministic facts for the record beyond parameter counts (alpha, targets, ...)."""
        return {}

    @contextlib.contextmanager
    def adapters_off(self) -> Iterator[None]:
        """Within the context the method computes as its base model."""
        raise NotImplementedError(f"{type(self).__name__} has no adapters")
        yield

    # ------------------------------------------------------------------------------------------ shared
    @classmethod
    def read_options(cls, job: Any) -> Any:
        """The method's options of a job, checked.

        Raises:
            InputError: names the wrong or missing keys.
        """
        try:
            return cls.Options.model_validate(job.method.options)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise InputError(
                file=f"params.yaml, methods.{job.run.method}.options", found=wrong,
                expected=f"the keys {', '.join(sorted(cls.Options.model_fields))}",
                remedy="correct or remove the named keys",
            ) from None  # fmt: skip


def torch_device(name: str) -> torch.device:
    """The device of a job, checked to exist."""
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(
            file="params.yaml", found="device: cuda, but torch sees no GPU",
            expected="a CUDA GPU and a CUDA build of torch",
            remedy="set device: cpu, or install torch for your GPU",
        )  # fmt: skip
    return torch.device(name)
