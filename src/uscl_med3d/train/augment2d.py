"""Augmentation of single images as SAMUS and SAMed do it, draw for draw.

Every random number comes from generators that the caller passes, so equal seeds give the official images.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class SamusAugmentation:
    """SAMUS's: gamma, rotation, zoom with crop, contrast; no flips.

    Attributes:
        image_size, low_size: sides of image and mask, and of the small mask that the loss sees.
        probability: of each of the four steps.
        gamma: lowest and (exclusive) highest gamma in tenths. rotation: largest angle in degrees.
        zoom, contrast: lowest and highest factor.
    """

    image_size: int
    low_size: int
    probability: float
    gamma: tuple[int, int]
    rotation: float
    zoom: tuple[float, float]
    contrast: tuple[float, float]


OFFICIAL = SamusAugmentation(
    image_size=256,
    low_size=128,
    probability=0.5,
    gamma=(10, 25),
    rotation=30.0,
    zoom=(1.0, 1.3),
    contrast=(0.8, 2.0),
)


def augment_samus(
    image: np.ndarray,
    mask: np.ndarray,
    settings: SamusAugmentation,
    rng: np.random.RandomState,
    generator: torch.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One training item.

    Args:
        image, mask: uint8 (h, w), grey values and labels.

    Returns:
        image (s, s) float32 in 0..1, mask (s, s) and small mask (l, l) uint8.

    Source: xianlin7/SAMUS@030ed07cebe4:utils/data_us.py (behaviour only).
    """
    from PIL import Image, ImageEnhance

    side = settings.image_size
    # The official code tosses coins for steps with probability 0 too: flip, noise, distortion, affine.
    if rng.rand() < settings.probability:
        gamma = rng.randint(*settings.gamma) / 10
        image = ((image / 255.0) ** (1 / gamma) * 255).astype(np.uint8)
    picture, labels = Image.fromarray(image), Image.fromarray(mask)
    rng.rand()
    if rng.rand() < settings.probability:
        angle = _uniform(-settings.rotation, settings.rotation, generator)
        picture, labels = (
            one.rotate(angle, Image.Resampling.NEAREST, fillcolor=0) for one in (picture, labels)
        )
    if rng.rand() < settings.probability:
        grown = int(side * rng.uniform(*settings.zoom))
        picture = picture.resize((grown, grown), Image.Resampling.BILINEAR)
        labels = labels.resize((grown, grown), Image.Resampling.NEAREST)
        top, left = (_randint(grown - side + 1, generator) for _ in range(2)) if grown > side else (0, 0)
        window = (left, top, left + side, top + side)
        picture, labels = picture.crop(window), labels.crop(window)
    rng.rand()
    if rng.rand() < settings.probability:
        torch.randperm(4, generator=generator)
        factor = _uniform(*settings.contrast, generator)
        picture = ImageEnhance.Contrast(picture).enhance(factor)
    rng.rand(), rng.rand()
    return _finish(picture, labels, settings)


def prepare_samus(
    image: np.ndarray, mask: np.ndarray, settings: SamusAugmentation
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One item of validation or test; as `augment_samus` without its steps."""
    from PIL import Image

    return _finish(Image.fromarray(image), Image.fromarray(mask), settings)


def _finish(
    picture: Any, labels: Any, settings: SamusAugmentation
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from PIL import Image

    side, low = (settings.image_size,) * 2, (settings.low_size,) * 2
    picture = picture.resize(side, Image.Resampling.BILINEAR)
    labels = labels.resize(side, Image.Resampling.NEAREST)
    small = labels.resize(low, Image.Resampling.NEAREST)
    return np.asarray(picture, np.float32) / 255, np.asarray(labels), np.asarray(small)


def _uniform(low: float, high: float, generator: torch.Generator) -> float:
    return float(torch.empty(1).uniform_(low, high, generator=generator).item())


def _randint(high: int, generator: torch.Generator) -> int:
    return int(torch.randint(0, high, (1,), generator=generator).item())


def augment_samed(
    image: np.ndarray,
    labels: np.ndarray,
    size: int,
    low_size: int,
    chooser: random.Random,
    rng: np.random.RandomState,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One training item of SAMed: a quarter turn and a flip, or a rotation of up to 20 degrees, or neither.

    Args:
        image: (h, w) float. labels: (h, w). size, low_size: sides of the results.

    Returns:
        image (s, s) float32, labels (s, s) and (l, l).

    Source: hitachinsk/SAMed@e351840481f5:datasets/dataset_synapse.py (behaviour only).
    """
    from scipy import ndimage

    if chooser.random() > 0.5:
        turns, axis = int(rng.randint(0, 4)), int(rng.randint(0, 2))
        image, labels = (np.flip(np.rot90(one, turns), axis).copy() for one in (image, labels))
    elif chooser.random() > 0.5:
        angle = int(rng.randint(-20, 20))
        image, labels = (ndimage.rotate(one, angle, order=0, reshape=False) for one in (image, labels))
    if image.shape != (size, size):
        factors = (size / image.shape[0], size / image.shape[1])
        image, labels = ndimage.zoom(image, factors, order=3), ndimage.zoom(labels, factors, order=0)
    small = ndimage.zoom(labels, (low_size / size, low_size / size), order=0)
    return image.astype(np.float32), labels, small
