"""The interface of a method: load once, encode once, predict per click. One subclass per kind of prompt.

A method never sees a reference mask and never computes a metric; the judge (`uscl_med3d.evaluate`) does.
A new method is one module here with a class `METHOD`, and one key of the same name in params.yaml.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.methods import Prompt


@dataclass(frozen=True)
class Card:
    """Where a method comes from, and how it sees intensities."""

    paper: str
    code: str
    licence: str
    normalisation: str


class Method(ABC):
    """One method, ready to predict; `load` makes one. Its kind (a subclass below) says what it is given.

    Attributes:
        prompt: kind of prompt; the same word as the registry's `prompt`.
        network: the module that `save` and training work on.
    """

    card: ClassVar[Card]
    prompt: ClassVar[Prompt]
    Options: ClassVar[type[Section]]
    network: nn.Module

    @classmethod
    @abstractmethod
    def load(
        cls, job: Any, base_weights: Path | None, checkpoint: Path | None, vcl_weights: Path | None
    ) -> Self:
        """Build the method of `job.run` on `base_weights`.

        Args:
            job: a job with `seed`, `device`, `model`, `run` and `method` (its options).
            base_weights: weights of the base model that the registry names, or None where it names none.
            checkpoint: what `save` wrote after training, or None for the untrained start.
            vcl_weights: the pretrained encoder adapter, for runs that start from one.

        Raises:
            InputError: for files that do not fit the job.
        """

    # ------------------------------------------------------------------------------------------ training
    def prepare_training(self) -> list[nn.Parameter]:
        """Choose what trains (set `requires_grad`); return those parameters in order."""
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

    def adapters_off(self) -> contextlib.AbstractContextManager[None]:
        """Within the context the method computes as its base model."""
        raise NotImplementedError(f"{type(self).__name__} has no adapters")

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


class ClickMethod(Method):
    """Clicks in a volume: a crop is encoded once, then every click gives a mask.

    Attributes:
        embeds_once: after `prepare_training`: no trained parameter lies before the embedding, so the
            embedding of a crop never changes and may be computed once (`embed`, then `start`).
    """

    prompt: ClassVar[Prompt] = "clicks"
    embeds_once: bool = False

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


class SliceMethod(Method):
    """Clicks in every slice: a 2D method works along the first axis, slice by slice."""

    prompt: ClassVar[Prompt] = "slice_clicks"

    @abstractmethod
    def prepare(self, volume: Tensor) -> Tensor:
        """Raw intensities (d, h, w), zero outside the acquisition -> images (d, 3, h, w) as the network knows them."""

    @abstractmethod
    def embed(self, images: Tensor) -> Tensor:
        """Images (n, 3, h, w) of `prepare` -> embedding (n, ...)."""

    @abstractmethod
    def start(self, embedding: Tensor, size: tuple[int, int]) -> Any:
        """A fresh state, without any click, on embedded slices of `size` (h, w)."""

    @abstractmethod
    def click(self, state: Any, points: Tensor, labels: Tensor) -> Tensor:
        """As `ClickMethod.click`, per slice.

        Args:
            state: of `start`; changed in place.
            points: all clicks so far, (n, k, 2) in (h, w) pixel indices of the slices, the newest last.
            labels: (n, k); 1 object, 0 background, -1 no click.

        Returns:
            logits (n, 1, h, w); above zero is object.
        """


class WholeMethod(Method):
    """No clicks: the whole volume at once, from nothing (`prompt` is `none`) or from annotated key frames."""

    @abstractmethod
    def segment(
        self, volume: np.ndarray, key_frames: np.ndarray | None, classes: Mapping[str, int],
        frames: Sequence[int] | None,
    ) -> np.ndarray:  # fmt: skip
        """Segment all classes.

        Args:
            volume: (d, h, w) raw intensities, zero outside the acquisition.
            key_frames: uint8 labels (d, h, w), 255 on frames without annotation; None for `none`.
            classes: names and label values.
            frames: indices along d that are wanted; others may stay background. None: all.

        Returns:
            uint8 labels (d, h, w); 0 is background.
        """


def need_base(base_weights: Path | None) -> Path:
    """The base weights of a method that cannot do without.

    Raises:
        ValueError: where there are none.
    """
    if base_weights is None:
        raise ValueError("this method starts from the weights of a base model")
    return base_weights


def torch_device(name: str) -> torch.device:
    """The device of a job, checked to exist."""
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(
            file="params.yaml", found="device: cuda, but torch sees no GPU",
            expected="a CUDA GPU and a CUDA build of torch",
            remedy="set device: cpu, or install torch for your GPU",
        )  # fmt: skip
    return torch.device(name)
