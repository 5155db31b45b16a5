"""Images of a batch, drawn across patients, and their random views."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor

from uscl_med3d.core.params.base import Section
from uscl_med3d.core.seeds import rng
from uscl_med3d.nets.intensity import zscore_foreground
from uscl_med3d.selfsupervised.sweeps import SweepImages


class Augmentation(Section):
    """Random changes of a view, each with its own name, so that each can be switched off alone.

    Attributes:
        crop_share: smallest and largest share of the sweep's volume that a crop covers, with the sweep's proportions.
        flip_probability: along (d, h, w).
        blur_probability: probability that a first view, and that a second view, IS blurred. (DINO's code hands
            one minus this number to a function that applies with the probability it is given; this does not.)
        blur_sigma: smallest and largest standard deviation, in voxels of the crop.
        jitter_probability: of a change of contrast and brightness. Images are grey: hue and saturation do not exist.
        contrast: grey values are multiplied by 1 - this to 1 + this. brightness: then shifted by at most so many
            standard deviations of the crop's foreground.
    """

    crop_share: tuple[float, float]
    flip_probability: tuple[float, float, float]
    blur_probability: tuple[float, float]
    blur_sigma: tuple[float, float]
    jitter_probability: float = Field(ge=0, le=1)
    contrast: float = Field(ge=0, lt=1)
    brightness: float = Field(ge=0)

    @field_validator("crop_share")
    @classmethod
    def _share(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 < value[0] <= value[1] <= 1:
            raise ValueError("expected 0 < smallest <= largest <= 1")
        return value

    @field_validator("blur_sigma")
    @classmethod
    def _sigma(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 < value[0] <= value[1]:
            raise ValueError("expected 0 < smallest <= largest")
        return value

    @field_validator("flip_probability", "blur_probability")
    @classmethod
    def _probabilities(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0 <= value <= 1 for value in values):
            raise ValueError("expected probabilities from 0 to 1")
        return values


class Views(NamedTuple):
    """Two views of n images, (n, 1, s, s, s) each, and the images' patients, (n,) int64."""

    first: Tensor
    second: Tensor
    patients: Tensor


def choose_sweeps(
    patients: dict[str, list[str]], count: int, random: np.random.Generator
) -> list[tuple[str, str]]:
    """`count` pairs (patient, sweep): no patient twice before all have come, no sweep of a patient twice before all."""
    names = list(patients)
    order = random.permutation(len(names))
    sweeps = {name: random.permutation(patients[name]).tolist() for name in names}
    chosen = []
    for place in range(count):
        turn, position = divmod(place, len(names))
        name = names[order[position]]
        chosen.append((name, sweeps[name][turn % len(sweeps[name])]))
    return chosen


def cut_crops(volume: Tensor, boxes: np.ndarray, size: int) -> Tensor:
    """Boxes of a (d, h, w) volume, each resized (trilinear) to a cube: (k, 1, size, size, size) float32.

    Args:
        boxes: (k, 6) integers, (d0, h0, w0, d1, h1, w1) in voxels of the volume, the end not included.
    """
    crops = []
    for d0, h0, w0, d1, h1, w1 in boxes.tolist():
        crop = volume[None, None, d0:d1, h0:h1, w0:w1].float()
        crops.append(F.interpolate(crop, size=(size, size, size), mode="trilinear", align_corners=False))
    return torch.cat(crops)


def draw_view(
    volume: Tensor, options: Augmentation, view: int, size: int, random: np.random.Generator
) -> Tensor:
    """A random view of a sweep (d, h, w), uint8 -> (1, 1, size, size, size) float32, view 0 or 1.

    Crop, resize, normalise by its own foreground as every input of the encoder, flip, jitter, blur.
    """
    # One draw per decision whether it is used or not: a changed probability does not move later draws.
    share, places = random.uniform(*options.crop_share), random.random(3)
    flips, jittered, blurred = random.random(3), random.random(), random.random()
    factor = 1 + options.contrast * random.uniform(-1, 1)
    shift, sigma = options.brightness * random.uniform(-1, 1), random.uniform(*options.blur_sigma)
    shape = np.asarray(volume.shape)
    side = np.clip(np.round(shape * share ** (1 / 3)), 1, shape).astype(int)
    low = np.floor(places * (shape - side + 1)).astype(int)
    crop = zscore_foreground(cut_crops(volume, np.concatenate([low, low + side])[None], size))
    pairs = zip((2, 3, 4), flips, options.flip_probability, strict=True)
    if axes := [axis for axis, draw, probability in pairs if draw < probability]:
        crop = crop.flip(axes)
    if jittered < options.jitter_probability:
        crop = crop * factor + shift
    return blur(crop, sigma) if blurred < options.blur_probability[view] else crop


def blur(crops: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (n, 1, d, h, w) by `sigma` voxels along each axis; the border is repeated."""
    from monai.networks.layers import gaussian_1d, separable_filtering  # importing MONAI takes seconds

    kernel = gaussian_1d(torch.tensor(sigma, device=crops.device), truncated=3.0, approx="sampled")
    return separable_filtering(crops, [kernel / kernel.sum()] * 3, mode="replicate")


class ViewDrawer:
    """Views of training and validation images; what is drawn depends on the seed, never on the pretext task.

    Args:
        count: images of a training step. size: voxels per side. validation_images: of each validation sweep.
        seed: of this training. measuring_seed: of what is measured.
    """

    def __init__(
        self,
        sweeps: SweepImages,
        options: Augmentation,
        count: int,
        size: int,
        validation_images: int,
        seed: int,
        measuring_seed: int,
        device: torch.device,
    ) -> None:
        self.sweeps, self.options, self.count, self.size = sweeps, options, count, size
        self.validation_images, self.device = validation_images, device
        self.seed, self.measuring_seed = seed, measuring_seed
        self.training_patients = sweeps.list_patients(sweeps.train)
        self.validation_patients = sweeps.list_patients(sweeps.validation)

    def training(self, step: int) -> Views:
        """Two views of each image of a step."""
        random = rng(self.seed, "pretrain", "images", step)
        chosen = choose_sweeps(self.training_patients, self.count, random)
        return self._draw(chosen, list(self.training_patients), self.seed, "views", step)

    def validation(self) -> Views | None:
        """Two views of `validation_images` crops of each validation sweep, always the same; None without any."""
        chosen = [
            (patient, sweep)
            for patient, sweeps in self.validation_patients.items()
            for sweep in sweeps
            for _ in range(self.validation_images)
        ]
        if not chosen:
            return None
        return self._draw(chosen, list(self.validation_patients), self.measuring_seed, "validation views", 0)

    def _draw(
        self, chosen: list[tuple[str, str]], patients: list[str], seed: int, name: str, step: int
    ) -> Views:
        views: tuple[list[Tensor], list[Tensor]] = ([], [])
        for place, (_, sweep) in enumerate(chosen):
            volume = self.sweeps.load(sweep).to(self.device)
            for view, crops in enumerate(views):
                random = rng(seed, "pretrain", name, step, place, view)
                crops.append(draw_view(volume, self.options, view, self.size, random))
        owners = torch.tensor([patients.index(patient) for patient, _ in chosen], device=self.device)
        return Views(torch.cat(views[0]), torch.cat(views[1]), owners)
