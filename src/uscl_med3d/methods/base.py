"""The interface of a method: load once, encode once, predict per click. One subclass per kind of piece that it works on.

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

from uscl_med3d.clicks.crops import Origin, centre_crop_on
from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import sha256
from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.methods import Takes, WorksOn
from uscl_med3d.core.seeds import derive_training
from uscl_med3d.nets.card import Preprocessing
from uscl_med3d.nets.tensors import read_tensors, save_tensors
from uscl_med3d.tuning import find_tuning
from uscl_med3d.tuning.base import Tuning

Voxel = tuple[int, int, int]
"""(d, h, w) index of a volume."""


@dataclass(frozen=True)
class Weights:
    """Files that a method is made of.

    Attributes:
        base: weights of the base model that the registry names, or None where it names none.
        start: the encoder that a pretext task exported, for runs that start from one.
        trained: what `save` wrote after training, or None for the untrained start.
    """

    base: Path | None = None
    start: Path | None = None
    trained: Path | None = None


@dataclass(frozen=True)
class Card:
    """Where a method comes from, and how it sees intensities."""

    paper: str
    code: str
    licence: str
    normalisation: str


@dataclass(frozen=True)
class Example:
    """One labelled sweep: image (d, h, w), zero outside the acquisition, and uint8 labels, 255 where nothing is known."""

    name: str
    image: np.ndarray
    label: np.ndarray


class Method(ABC):
    """One method, ready to predict; `load` makes one. Its kind (a subclass below) says what it is given.

    Attributes:
        takes, works_on: the same words as the registry's.
        network: the module that predicts.
        tuning: what of it is trained, and how that is stored; None for what is used as it is.
        fitted: whether it learns in one go, by `fit`, instead of step by step.
    """

    card: ClassVar[Card]
    takes: ClassVar[Takes]
    works_on: ClassVar[WorksOn]
    Options: ClassVar[type[Section]]
    network: nn.Module
    tuning: Tuning | None = None
    fitted: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def load(cls, job: Any, weights: Weights) -> Self:
        """Build the method of `job.run`.

        Args:
            job: a job with `seed`, `device`, `model`, `run` and `method` (its options and tuning).
            weights: the files; a method refuses what it has no use for.

        Raises:
            InputError: for files that do not fit the job.
        """

    # ------------------------------------------------------------------------------------------ training
    def tune(self, job: Any, weights: Weights) -> None:
        """Wrap the network as `job.method.tuning` says, and load what is trained of it already."""
        settings = job.method.tuning
        if settings is None:
            if weights.start is not None or weights.trained is not None:
                raise ValueError(f"{job.run.method} is not tuned, so it takes its base weights and no others")
            return
        strategy = find_tuning(settings["strategy"])
        options = _validated(strategy.Options, settings, f"methods.{job.run.method}.tuning")
        base = sha256(need_base(weights.base))
        self.tuning = strategy(
            self.network, options, job.run, derive_training(job.seed, job.run.training_seed)
        )
        owner = job.method.weights_of or job.run.method
        self.tuning.belongs = {"method": owner, "base_sha256": base, **self.tuning.facts()}
        if (job.run.pretraining is not None) != (weights.start is not None):
            raise ValueError(
                f"run {job.run.id}: pretraining is {job.run.pretraining}, the pretrained encoder {weights.start}"
            )
        if weights.start is not None:
            self.tuning.load_start(weights.start, base)
        if weights.trained is not None:
            self.load_trained(read_tensors(weights.trained, self.tuning.belongs))
        self.network.eval()  # what the strategy added is fresh, and fresh modules are in training mode

    def prepare_training(self) -> list[nn.Parameter]:
        """Choose what trains (set `requires_grad`); return those parameters in order."""
        return [] if self.fitted else self._tuned().prepare()

    def fit(self, examples: Sequence[Example], classes: Mapping[str, int], seed: int) -> float:
        """Learn from all examples at once, where `fitted`; the mean Dice on them, in percent."""
        raise NotImplementedError(f"{type(self).__name__} is not fitted")

    def trained_state(self) -> dict[str, Tensor]:
        """Names and current values of everything that training changes."""
        return self._tuned().state()

    def load_trained(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `trained_state` returned."""
        self._tuned().load_state(tensors)

    def save(self, path: Path) -> None:
        """Write the trained tensors, with what they belong to, so that `load` can check it."""
        save_tensors(path, self.trained_state(), self.belongs())

    def belongs(self) -> dict[str, str]:
        """What the trained tensors belong to."""
        return dict(self._tuned().belongs)

    def learning_rate(self) -> float:
        """The highest one, reached after the warm-up."""
        return self._tuned().options.learning_rate

    def describe(self) -> dict[str, Any]:
        """Deterministic facts for the record beyond parameter counts (alpha, targets, ...)."""
        return {} if self.tuning is None else self.tuning.describe()

    def adapters_off(self) -> contextlib.AbstractContextManager[None]:
        """Within the context the method computes as its base model."""
        return self._tuned().off()

    @property
    def embeds_once(self) -> bool:
        """No trained parameter lies before the image embedding, so that of a crop never changes while training."""
        return self.tuning is not None and not self.tuning.trains_encoder

    def _tuned(self) -> Tuning:
        if self.tuning is None:
            raise NotImplementedError(f"{type(self).__name__} is not trained")
        return self.tuning

    @property
    def preprocessing(self) -> Preprocessing:
        """How volumes must be brought to the method; `official` ones keep their values on the official grid."""
        return "ours"

    # ------------------------------------------------------------------------------------------ shared
    @classmethod
    def read_options(cls, job: Any) -> Any:
        """The method's options of a job, checked.

        Raises:
            InputError: names the wrong or missing keys.
        """
        return _validated(cls.Options, job.method.options, f"methods.{job.run.method}.options")


def _validated(options: type[Section], values: Mapping[str, Any], place: str) -> Any:
    try:
        return options.model_validate(values)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise InputError(
            file=f"params.yaml, {place}",
            found=wrong,
            expected=f"the keys {', '.join(sorted(options.model_fields))}",
            remedy="correct or remove the named keys",
        ) from None


class ClickMethod(Method):
    """Clicks in a volume: a crop is encoded once, then every click gives a mask."""

    takes: ClassVar[Takes] = "clicks"
    works_on: ClassVar[WorksOn] = "crop"

    @property
    def upscaled_channels(self) -> int | None:
        """Channels that `upscale` sums up; None: the embedding cannot be learned from voxel by voxel."""
        return None

    def upscale(self, embedding: Tensor, weights: Tensor) -> Tensor:
        """Embedding of `embed`, without any prompt, and weights (b, k, channels) -> logits (b, k, m, m, m) of the crops."""
        raise NotImplementedError(f"{type(self).__name__} has no upscaling")

    def place_crop(self, first: Voxel, last: Voxel, shape: Voxel, size: int) -> Origin:
        """First voxel of the crop of `size` voxels a side around a box (its first and last voxel; a click is one voxel).

        It is moved to stay inside the volume of `shape` where it can, because padding shows the model nothing.
        """
        d, h, w = (int(low + high) // 2 for low, high in zip(first, last, strict=True))
        return centre_crop_on((d, h, w), shape, size)

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

    takes: ClassVar[Takes] = "clicks"
    works_on: ClassVar[WorksOn] = "slice"

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
    """No clicks: the whole volume at once, from nothing or from annotated key frames.

    Attributes:
        told_class: it is told which class is meant: `segment` is asked for one class at a time.
    """

    works_on: ClassVar[WorksOn] = "volume"
    told_class: ClassVar[bool] = False

    @abstractmethod
    def segment(
        self,
        volume: np.ndarray,
        key_frames: np.ndarray | None,
        classes: Mapping[str, int],
        frames: Sequence[int] | None,
    ) -> np.ndarray:
        """Segment all classes.

        Args:
            volume: (d, h, w) raw intensities, zero outside the acquisition.
            key_frames: uint8 labels (d, h, w), 255 on frames without annotation; None for methods that take nothing.
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
            file="params.yaml",
            found="device: cuda, but torch sees no GPU",
            expected="a CUDA GPU and a CUDA build of torch",
            remedy="set device: cpu, or install torch for your GPU",
        )
    return torch.device(name)
