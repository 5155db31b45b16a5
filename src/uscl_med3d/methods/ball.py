"""Ball: what clicks are worth without looking at the image.

Every voxel belongs to the click nearest to it, if that one lies on the object and no further away than a radius. The
image only says where the acquisition ends. A method that does no better than this has not used the image. The radius
is the one with the best mean Dice after the last click on the training patients' pseudo-labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from uscl_med3d.clicks.crops import centre_crop_on, cut, to_crop
from uscl_med3d.clicks.simulators import SIMULATORS, draw_first_click
from uscl_med3d.core.params.base import Section
from uscl_med3d.core.seeds import rng
from uscl_med3d.methods.base import Card, ClickMethod, Example, Weights
from uscl_med3d.nets.tensors import read_tensors

IGNORE = 255


class BallOptions(Section):
    """See params.yaml, `methods.ball.options`."""

    radii: tuple[float, ...] = Field(min_length=1)
    objects: int = Field(ge=1)
    clicks: int = Field(ge=1)
    click_simulator: str


@dataclass
class BallState:
    """What is inside the acquisition, bool (b, d, h, w)."""

    inside: Tensor


class BallMethod(ClickMethod):
    """Looks at no image."""

    card: ClassVar[Card] = Card(
        paper="none: the control that looks at nothing",
        code="this project",
        licence="Apache-2.0",
        normalisation="none: the image only says where the acquisition is",
    )
    Options: ClassVar[type[Section]] = BallOptions
    fitted: ClassVar[bool] = True

    def __init__(self, options: BallOptions, size: int) -> None:
        self.options, self.size = options, size
        self.network = nn.Module()
        self.radius = torch.tensor(options.radii[0], dtype=torch.float32)

    @classmethod
    def load(cls, job: Any, weights: Weights) -> Self:
        """See `Method.load`."""
        if weights.base or weights.start:
            raise ValueError("a ball starts from no weights")
        method = cls(cls.read_options(job), job.model.image_size)
        if weights.trained is not None:
            method.load_trained(read_tensors(weights.trained, method.belongs()))
        return method

    def embed(self, crops: Tensor) -> Tensor:
        """See `ClickMethod.embed`."""
        return crops[:, 0] != 0  # CT has negative values inside

    def start(self, embedding: Tensor) -> BallState:
        """See `ClickMethod.start`."""
        return BallState(embedding)

    def click(self, state: BallState, points: Tensor, labels: Tensor) -> Tensor:
        """See `ClickMethod.click`."""
        return grow(points, labels, state.inside, float(self.radius))

    # ------------------------------------------------------------------------------------------ training
    def fit(self, examples: Sequence[Example], classes: Mapping[str, int], seed: int) -> float:
        """Choose the radius by simulated clicks on the objects of the examples; its mean Dice."""
        objects = [
            (name, value, example)
            for example in examples
            for name, value in classes.items()
            if (example.label == value).any()
        ]
        random = rng(seed, "ball", "objects")
        chosen = [objects[i] for i in random.permutation(len(objects))[: self.options.objects]]
        dice = [
            float(np.mean([self._try(radius, value, example, name, seed) for name, value, example in chosen]))
            for radius in self.options.radii
        ]
        self.radius = torch.tensor(self.options.radii[int(np.argmax(dice))], dtype=torch.float32)
        return max(dice)

    def _try(self, radius: float, value: int, example: Example, name: str, seed: int) -> float:
        """Dice of one object in the crop round its first click, after the last click."""
        truth = example.label == value
        click = draw_first_click(truth, rng(seed, "ball", "first_click", example.name, name))
        origin = centre_crop_on(click[:3], truth.shape, self.size)
        known = cut(example.label != IGNORE, origin, self.size, fill=0)
        truth = cut(truth, origin, self.size, fill=0)
        inside = torch.from_numpy(cut(example.image != 0, origin, self.size, fill=0))[None]
        clicks = [(*to_crop(click[:3], origin), 1)]
        for number in range(1, self.options.clicks + 1):
            points = torch.tensor([clicks])
            mask = (grow(points[..., :3], points[..., 3], inside, radius)[0, 0] > 0).numpy() & known
            random = rng(seed, "ball", "next_click", example.name, name, number)
            following = SIMULATORS[self.options.click_simulator](mask, truth, random)
            if following is None:
                break
            clicks.append(following)
        return 200 * float((mask & truth).sum()) / float(mask.sum() + truth.sum())

    def trained_state(self) -> dict[str, Tensor]:
        """The radius."""
        return {"radius": self.radius}

    def load_trained(self, tensors: Mapping[str, Tensor]) -> None:
        """See `Method.load_trained`."""
        self.radius = tensors["radius"]

    def describe(self) -> dict[str, Any]:
        """The radius, in voxels."""
        return {"radius": float(self.radius)}

    def belongs(self) -> dict[str, str]:
        """See `Method.belongs`."""
        return {"method": "ball"}


def grow(points: Tensor, labels: Tensor, inside: Tensor, radius: float) -> Tensor:
    """Balls round clicks, cut to the acquisition.

    Args:
        points: (b, n, 3) in (d, h, w) voxel indices.
        labels: (b, n); 1 object, 0 background, -1 no click.
        inside: (b, d, h, w) bool, where there is an image.
        radius: in voxels.

    Returns:
        (b, 1, d, h, w); above zero is object: the squared distance by which a voxel lies nearer to an object click
        than the radius and than any background click.
    """
    squared = _squared_distances(points, inside.shape[1:])
    far = torch.tensor(1e9)
    towards = torch.where((labels == 1)[..., None, None, None], squared, far).amin(dim=1)
    away = torch.where((labels == 0)[..., None, None, None], squared, far).amin(dim=1)
    margin = torch.minimum(radius**2 - towards, away - towards)
    return torch.where(inside, margin, -far)[:, None]


def _squared_distances(points: Tensor, shape: torch.Size) -> Tensor:
    """Squared distances (b, n, d, h, w) of every voxel from every point."""
    axes = [torch.arange(length, dtype=torch.float32) for length in shape]
    d, h, w = ((axis - points[..., [index]].float()) ** 2 for index, axis in enumerate(axes))
    return d[..., :, None, None] + h[..., None, :, None] + w[..., None, None, :]


METHOD = BallMethod
