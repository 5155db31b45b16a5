"""Atlas: what knowing the class is worth without looking at the image and without clicks.

The mean position of each class over the training sweeps: volumes are laid over each other with their tops and middles
aligned and the sweep axis stretched to one length, because that one has no millimetres. A voxel belongs to the class
where more than a certain share of the sweeps have it; the share is the one with the best mean Dice on the same sweeps.
A method that does no better than this has learned where organs usually lie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.methods import Takes
from uscl_med3d.methods.base import Card, Example, Weights, WholeMethod
from uscl_med3d.nets.tensors import read_tensors

IGNORE = 255
Positive = Annotated[int, Field(ge=1)]
Grid = tuple[int, int, int]


class AtlasOptions(Section):
    """See params.yaml, `methods.atlas.options`."""

    grid: tuple[Positive, Positive, Positive]
    thresholds: tuple[float, ...] = Field(min_length=1)


class AtlasMethod(WholeMethod):
    """Share of the training sweeps (D, H, W) that have a class at a place, and the share to exceed, per class."""

    card: ClassVar[Card] = Card(
        paper="none: the control that looks at nothing",
        code="this project",
        licence="Apache-2.0",
        normalisation="none: the image only says where the acquisition is",
    )
    takes: ClassVar[Takes] = "nothing"
    Options: ClassVar[type[Section]] = AtlasOptions
    fitted: ClassVar[bool] = True
    told_class: ClassVar[bool] = True

    def __init__(self, options: AtlasOptions, classes: Sequence[str]) -> None:
        self.options = options
        self.network = nn.Module()
        self.shares = {name: np.zeros(options.grid, np.float32) for name in classes}
        self.thresholds = dict.fromkeys(classes, 1.0)

    @classmethod
    def load(cls, job: Any, weights: Weights) -> Self:
        """See `Method.load`."""
        if weights.base or weights.start:
            raise ValueError("an atlas starts from no weights")
        method = cls(cls.read_options(job), list(job.classes))
        if weights.trained is not None:
            method.load_trained(read_tensors(weights.trained, method.belongs()))
        return method

    def segment(
        self,
        volume: np.ndarray,
        key_frames: np.ndarray | None,
        classes: Mapping[str, int],
        frames: Sequence[int] | None,
    ) -> np.ndarray:
        """See `WholeMethod.segment`; where several classes are usual, the one that is most above its threshold."""
        labels = np.zeros(volume.shape, np.uint8)
        most = np.zeros(volume.shape, np.float32)
        for name, value in classes.items():
            above = lay(self.shares[name], volume.shape) - np.float32(self.thresholds[name])
            chosen = (above > most) & (volume > 0)
            labels[chosen], most[chosen] = value, above[chosen]
        return labels

    # ------------------------------------------------------------------------------------------ training
    def fit(self, examples: Sequence[Example], classes: Mapping[str, int], seed: int) -> float:
        """Mean positions and thresholds; the mean Dice over classes on the examples themselves.

        A class that no example shows is never predicted.
        """
        best = []
        for name, value in classes.items():
            showing = [example for example in examples if (example.label == value).any()]
            if not showing:
                continue
            grid = self.options.grid
            known = np.sum([lay(each.label != IGNORE, grid) for each in showing], axis=0, dtype=np.float32)
            found = np.sum([lay(each.label == value, grid) for each in showing], axis=0, dtype=np.float32)
            self.shares[name] = (found / np.maximum(known, 1)).astype(np.float32)
            dice = np.mean([self._score(name, value, each) for each in showing], axis=0)
            self.thresholds[name] = self.options.thresholds[int(dice.argmax())]
            best.append(float(dice.max()))
        return float(np.mean(best)) if best else float("nan")

    def _score(self, name: str, value: int, example: Example) -> list[float]:
        """Dice of one example for every threshold."""
        share, truth = lay(self.shares[name], example.label.shape), example.label == value
        allowed = (example.image > 0) & (example.label != IGNORE)
        masks = [(share > threshold) & allowed for threshold in self.options.thresholds]
        return [200 * float((mask & truth).sum()) / float(mask.sum() + truth.sum()) for mask in masks]

    def trained_state(self) -> dict[str, Tensor]:
        """Shares and thresholds by class."""
        shares = {f"share.{name}": torch.from_numpy(value) for name, value in self.shares.items()}
        return shares | {f"threshold.{name}": torch.tensor(value) for name, value in self.thresholds.items()}

    def load_trained(self, tensors: Mapping[str, Tensor]) -> None:
        """See `Method.load_trained`."""
        self.shares = {name: tensors[f"share.{name}"].numpy() for name in self.shares}
        self.thresholds = {name: float(tensors[f"threshold.{name}"]) for name in self.thresholds}

    def describe(self) -> dict[str, Any]:
        """The thresholds."""
        return {"thresholds": self.thresholds}

    def belongs(self) -> dict[str, str]:
        """See `Method.belongs`."""
        return {"method": "atlas", "classes": ",".join(self.shares)}


def lay(values: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Values (d, h, w) on a grid of `shape`: tops and middles aligned, the first axis stretched; zero beyond."""
    out = np.zeros(tuple(shape), values.dtype)
    frames = ((np.arange(shape[0]) + 0.5) * values.shape[0] / shape[0]).astype(int)
    height, width = min(shape[1], values.shape[1]), min(shape[2], values.shape[2])
    to, of = ((length - width) // 2 for length in (shape[2], values.shape[2]))
    out[:, :height, to : to + width] = values[frames, :height, of : of + width]
    return out


METHOD = AtlasMethod
