"""Between a slice and the square that a network sees: images and clicks in, masks out.

A frame is made for one size of slices. Images are RGB in 0..255, clicks (row, column) pixel indices of the
slice, as everywhere in this package; networks take points as (x, y).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)


class Frame(ABC):
    """Mapping of slices of `size` = (h, w) pixels to inputs of `image_size` pixels a side.

    Args:
        size: (h, w) of the slices. image_size: side of the network's input. mask_size: side of its masks.
    """

    def __init__(self, size: tuple[int, int], image_size: int, mask_size: int) -> None:
        self.size, self.image_size, self.mask_size = size, image_size, mask_size

    @abstractmethod
    def place_images(self, images: Tensor) -> Tensor:
        """RGB (n, 3, h, w) in 0..255 -> normalised input (n, 3, s, s)."""

    @abstractmethod
    def place_points(self, points: Tensor) -> Tensor:
        """(..., 2) as (row, column) of the slice -> (..., 2) as (x, y) of the input."""

    @abstractmethod
    def restore_masks(self, masks: Tensor) -> Tensor:
        """Low-resolution logits (n, m, 4g, 4g) -> logits (n, m, h, w) on the slice."""


class LongestSideFrame(Frame):
    """SAM's: the longer side is resized to the input's side, the rest is padded right and below.

    Resizing works on 8-bit images (bilinear with antialiasing); zeros are padded after normalisation. Masks are
    enlarged to the input, cut, and resized to the slice, all bilinearly; both steps are linear, so they are
    one matrix per axis here.

    Source: facebookresearch/segment-anything@dca509fe793f:segment_anything/utils/transforms.py and
        modeling/sam.py (behaviour only).
    """

    def __init__(self, size: tuple[int, int], image_size: int, mask_size: int) -> None:
        super().__init__(size, image_size, mask_size)
        scale = image_size / max(size)
        self.resized = (int(size[0] * scale + 0.5), int(size[1] * scale + 0.5))

    def resize(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) in 0..255 -> uint8 (n, 3, resized h, resized w)."""
        from PIL import Image

        pixels = images.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        height, width = self.resized
        resized = [
            np.asarray(Image.fromarray(one).resize((width, height), Image.Resampling.BILINEAR))
            for one in pixels
        ]
        return torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2)

    def place_images(self, images: Tensor) -> Tensor:
        resized = normalise_pixels(self.resize(images).to(images.device, torch.float32))
        height, width = self.resized
        return F.pad(resized, (0, self.image_size - width, 0, self.image_size - height))

    def place_points(self, points: Tensor) -> Tensor:
        scale = points.new_tensor([self.resized[1] / self.size[1], self.resized[0] / self.size[0]])
        return points.flip(-1) * scale

    def restore_masks(self, masks: Tensor) -> Tensor:
        rows, columns = (
            _cut_and_resize(self.mask_size, self.image_size, 0, inside, length).to(masks)
            for inside, length in zip(self.resized, self.size, strict=True)
        )
        return rows @ masks @ columns.T


class SquareFrame(Frame):
    """SAM-Med2D's: slices are resized to the square by the nearest pixel, so that their aspect is not kept.

    Slices that are smaller than the input on both sides are not resized but padded with zeros around them, after
    normalisation, if `pads_small`, as officially. Officially images come as BGR while mean and deviation are
    those of RGB; grey slices, whose channels are equal, are not affected.

    Source: OpenGVLab/SAM-Med2D@bfd2b93b1158:DataLoader.py and utils.py (behaviour only).
    """

    def __init__(self, size: tuple[int, int], image_size: int, mask_size: int, pads_small: bool) -> None:
        super().__init__(size, image_size, mask_size)
        self.padded = pads_small and max(size) < image_size
        self.start = tuple((image_size - length) // 2 for length in size) if self.padded else (0, 0)

    def place_images(self, images: Tensor) -> Tensor:
        images = normalise_pixels(images.float())
        if not self.padded:
            return F.interpolate(images, size=(self.image_size, self.image_size), mode="nearest")
        below, right = (
            self.image_size - at - length for at, length in zip(self.start, self.size, strict=True)
        )
        return F.pad(images, (self.start[1], right, self.start[0], below))

    def place_points(self, points: Tensor) -> Tensor:
        if self.padded:
            return points.flip(-1) + points.new_tensor([self.start[1], self.start[0]])
        scale = points.new_tensor([self.image_size / self.size[1], self.image_size / self.size[0]])
        return points.flip(-1) * scale

    def restore_masks(self, masks: Tensor) -> Tensor:
        rows, columns = (
            _cut_and_resize(
                self.mask_size, self.image_size, at, length if self.padded else self.image_size, length
            ).to(masks)
            for at, length in zip(self.start, self.size, strict=True)
        )
        return rows @ masks @ columns.T


def normalise_pixels(images: Tensor) -> Tensor:
    """RGB (n, 3, h, w) in 0..255 -> zero mean and unit deviation by SAM's statistics of natural images."""
    mean, std = (images.new_tensor(values).reshape(3, 1, 1) for values in (PIXEL_MEAN, PIXEL_STD))
    return (images - mean) / std


@lru_cache(maxsize=64)
def _cut_and_resize(side: int, enlarged: int, start: int, kept: int, length: int) -> Tensor:
    """Matrix (length, side): enlarge `side` to `enlarged`, keep `kept` pixels from `start`, resize to `length`."""
    # A cached inference tensor could not take part in a later training step.
    with torch.inference_mode(False), torch.no_grad():
        return _bilinear(kept, length) @ _bilinear(side, enlarged)[start : start + kept]


def _bilinear(side: int, length: int) -> Tensor:
    """Interpolation matrix (length, side) in float64."""
    basis = torch.eye(side, dtype=torch.float64).unsqueeze(1)
    return F.interpolate(basis, size=length, mode="linear", align_corners=False).squeeze(1).T
