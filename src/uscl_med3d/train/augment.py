"""Changes of training patches and their labels, drawn from the step's own random stream."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from uscl_med3d.core.params.segmentation import Augmentation

_UNKNOWN = 255


def augment(
    images: Tensor, labels: Tensor, settings: Augmentation, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Each patch changed by itself.

    Args:
        images: (b, 1, d, h, w), z-scored; the lowest value is what lies outside the fan. labels: (b, d, h, w)
        uint8, 255 unknown.

    Flips along (d, h, w) with the probabilities `flip`; rotation within the frame by up to `rotation_deg` and
    scaling by up to the share `scaling`; contrast scaled by up to the share `contrast`; grey values between the
    darkest and the brightest raised to a power of up to exp(+-`gamma`); white noise of up to `noise`.
    """
    changed = [
        _augment_one(image, label, settings, random) for image, label in zip(images, labels, strict=True)
    ]
    return torch.stack([image for image, _ in changed]), torch.stack([label for _, label in changed])


def augment_crop(
    image: np.ndarray, label: np.ndarray, settings: Augmentation, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """As `augment`, for one crop of raw intensities.

    Args:
        image: float32 (d, h, w), zero outside the fan; what is above zero stays so. label: uint8 (d, h, w).
    """
    inside = image > 0
    spread = float(image[inside].std()) if inside.any() else 0.0
    spread = spread or 1.0
    images, labels = torch.from_numpy(image / spread)[None, None], torch.from_numpy(label)[None]
    images, labels = augment(images, labels, settings, random)
    changed = images[0, 0].numpy() * spread
    # Inside the fan nothing may become zero, which means "outside"; the outside is the lowest value and stays zero.
    return np.where(images[0, 0].numpy() > 0, np.maximum(changed, 1.0), 0.0).astype(np.float32), labels[
        0
    ].numpy()


def _augment_one(
    image: Tensor, label: Tensor, settings: Augmentation, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    axes = [axis for axis, share in enumerate(settings.flip) if random.random() < share]
    image, label = image.flip([axis + 1 for axis in axes]), label.flip(axes)
    angle = math.radians(settings.rotation_deg) * random.uniform(-1, 1)
    scale = 1 + settings.scaling * random.uniform(-1, 1)
    if settings.rotation_deg or settings.scaling:
        image, label = _turn(image, label, angle, scale)
    low, high = image.min(), image.max()
    outside = image == low
    power = math.exp(settings.gamma * random.uniform(-1, 1))
    image = ((image - low) / (high - low).clamp(min=1e-6)) ** power * (high - low) + low
    image = image * (1 + settings.contrast * random.uniform(-1, 1))
    noise = torch.from_numpy(random.standard_normal(tuple(image.shape), dtype=np.float32))
    image = image + settings.noise * random.uniform(0, 1) * noise
    return torch.where(outside, low, image), label


def _turn(image: Tensor, label: Tensor, angle: float, scale: float) -> tuple[Tensor, Tensor]:
    """Rotate within the frame and scale all axes; what comes in from outside is dark and unknown."""
    _, h, w = label.shape
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    # Rows give (x, y, z) = (w, h, d) in units of half a side, so turning needs the sides' ratio.
    matrix = torch.tensor(
        [[cos, -sin * h / w, 0, 0], [sin * w / h, cos, 0, 0], [0, 0, 1 / scale, 0]], dtype=torch.float32
    )
    grid = F.affine_grid(matrix[None], [1, 1, *label.shape], align_corners=False)
    low = image.min()
    turned = F.grid_sample((image - low)[None], grid, align_corners=False)[0] + low
    numbers = (label.float() - _UNKNOWN)[None, None]
    found = F.grid_sample(numbers, grid, mode="nearest", align_corners=False)[0, 0] + _UNKNOWN
    return turned, found.round().to(torch.uint8)
