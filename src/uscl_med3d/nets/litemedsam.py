"""LiteMedSAM: MobileSAM's TinyViT on 256 pixels, with a stem that keeps the resolution. One box per image.

Source: bowang-lab/MedSAM@b0fab476e54e (branch LiteMedSAM): tiny_vit_sam.py, train_one_gpu.py and
CVPR24_LiteMedSAM_infer.py (behaviour only).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uscl_med3d.nets.medsam import min_max
from uscl_med3d.nets.sam import OFFICIAL_DECODER, Sam, SamConfig
from uscl_med3d.nets.sam.frame import Frame
from uscl_med3d.nets.tiny_vit import TINY_VIT_5M, ConvBlock, ConvNorm, TinyViT, TinyViTConfig


class LiteViTConfig(TinyViTConfig):
    """As `TinyViTConfig`, but the stem has no stride."""

    @property
    def stride(self) -> int:
        return math.prod(self.merge_strides)


class PointwiseEmbed(nn.Module):
    """Two 1 x 1 convolutions, (b, s, s, 3) -> (b, s, s, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(ConvNorm(3, width // 2, 1, 1), nn.GELU(), ConvNorm(width // 2, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.seq(x)


class LiteViT(TinyViT):
    """(b, 3, s, s) -> (b, out_channels, s/4, s/4) for the official strides."""

    def __init__(self, config: LiteViTConfig) -> None:
        super().__init__(config)
        self.patch_embed = PointwiseEmbed(config.widths[0])  # type: ignore[assignment]
        for module in self.modules():
            if isinstance(module, ConvBlock):
                nn.init.zeros_(module.conv3.bn.weight)


LITE_VIT = LiteViTConfig(**(asdict(TINY_VIT_5M) | {"image_size": 256, "num_classes": 0}))
"""The encoder of lite_medsam.pth."""

OFFICIAL = {"sam": asdict(replace(OFFICIAL_DECODER, image_size=256)), "encoder": asdict(LITE_VIT)}
"""The whole network."""


def build_litemedsam(architecture: Mapping[str, Any]) -> Sam:
    """A LiteMedSAM with fresh weights; every tensor of it is trained.

    Raises:
        ValueError: if the encoder's embedding is not what the decoder takes.
    """
    sam, encoder = SamConfig(**architecture["sam"]), LiteViTConfig(**architecture["encoder"])
    taken = (sam.image_size, sam.grid, sam.prompt_dim)
    given = (encoder.image_size, encoder.grid, encoder.out_channels)
    if taken != given:
        raise ValueError(
            f"image size, grid and channels of the decoder's embedding are {taken}, those of the encoder's {given}"
        )
    return Sam(sam, LiteViT(encoder))


class LiteFrame(Frame):
    """The longer side is resized to the input's by area, scaled to 0..1, and padded with zeros right and below."""

    def __init__(self, size: tuple[int, int], image_size: int, mask_size: int) -> None:
        super().__init__(size, image_size, mask_size)
        scale = image_size / max(size)
        self.resized = (int(size[0] * scale + 0.5), int(size[1] * scale + 0.5))

    def resize(self, images: Tensor) -> np.ndarray:
        """(n, 3, h, w) in 0..255 -> uint8 (n, h', w', 3)."""
        pixels = images.round().clamp(0, 255).to(torch.uint8).movedim(1, -1).cpu().numpy()
        return np.stack([resize_area(one, self.resized) for one in pixels])

    def place_images(self, images: Tensor) -> Tensor:
        placed = torch.from_numpy(np.stack([min_max(one) for one in self.resize(images)])).movedim(-1, 1)
        height, width = self.resized
        padded = F.pad(placed, (0, self.image_size - width, 0, self.image_size - height))
        return padded.to(images.device, torch.float32)

    def place_points(self, points: Tensor) -> Tensor:
        return points.flip(-1) * (self.image_size / max(self.size))

    def place_boxes(self, boxes: Tensor) -> Tensor:
        """(x0, y0, x1, y1) of the slice -> whole pixels of the input, cut off as officially."""
        return (boxes.to(torch.float64) * (self.image_size / max(self.size))).to(torch.int64)

    def restore_masks(self, masks: Tensor) -> Tensor:
        """Masks have the input's size, or are enlarged to it; the padding is cut, the rest resized."""
        if masks.shape[-1] != self.image_size:
            side = (self.image_size, self.image_size)
            masks = F.interpolate(masks, size=side, mode="bilinear", align_corners=False)
        inside = masks[..., : self.resized[0], : self.resized[1]]
        return F.interpolate(inside, size=self.size, mode="bilinear", align_corners=False)


def resize_area(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 (h, w) or (h, w, c) -> uint8 of `size`, each pixel the mean of the area that it covers.

    Enlarging follows OpenCV: pixels keep their value except where a target pixel covers two of them.
    """
    rows, columns = (_area(length, target) for length, target in zip(image.shape[:2], size, strict=True))
    mean = np.einsum("ah,hw...,bw->ab...", rows, image.astype(np.float64), columns, optimize=True)
    return np.floor(mean + 0.5).astype(np.uint8)


@lru_cache(maxsize=64)
def _area(length: int, target: int) -> np.ndarray:
    """Weights (target, length) of one axis."""
    scale = length / target
    weights = np.zeros((target, length))
    for index in range(target):
        if target <= length:
            start, stop = index * scale, (index + 1) * scale
            cells = np.arange(length)
            covered = np.clip(np.minimum(stop, cells + 1) - np.maximum(start, cells), 0, None)
            weights[index] = covered / covered.sum()
        else:
            cell = math.floor(index * scale)
            part = (index + 1) - (cell + 1) / scale
            part = max(0.0, part - math.floor(part)) if part > 0 else 0.0
            following = min(cell + 1, length - 1)
            weights[index, cell] += 1 - part
            weights[index, following] += part
    return weights


Box = tuple[int, int, int, int]


def next_box(mask: np.ndarray, image_size: int, margin: int) -> Box | None:
    """Box for the next slice from the last result (h, w), in the frame of the input; None for an empty one."""
    scale = image_size / max(mask.shape)
    size = (int(mask.shape[0] * scale + 0.5), int(mask.shape[1] * scale + 0.5))
    rows, columns = np.nonzero(resize_area(mask.astype(np.uint8), size))
    if not len(rows):
        return None
    # Officially the mask is padded to the square first, so the limits are those of the square.
    return (
        max(0, int(columns.min()) - margin),
        max(0, int(rows.min()) - margin),
        min(image_size, int(columns.max()) + margin),
        min(image_size, int(rows.max()) + margin),
    )


def propagate(
    box: tuple[int, int, int, int, int, int],
    depth: int,
    shape: tuple[int, int],
    image_size: int,
    margin: int,
    segment: Callable[[int, Box], np.ndarray],
) -> dict[int, np.ndarray]:
    """Segment the slices of a box slice by slice, from its middle upwards, then downwards.

    Args:
        box: (x0, y0, z0, x1, y1, z1). depth, shape: of the volume. segment: slice and box in the frame of the
            input -> mask (h, w).

    Returns:
        The mask of each slice.
    """
    x0, y0, z0, x1, y1, z1 = box
    scale = image_size / max(shape)
    given: Box = tuple(int(value * scale) for value in (x0, y0, x1, y1))  # type: ignore[assignment]
    middle = int((z1 - z0) / 2 + z0)
    masks: dict[int, np.ndarray] = {}
    for order in (range(middle, min(z1 + 1, depth)), range(middle - 1, z0 - 1, -1)):
        for index in order:
            before = index - order.step
            last = masks.get(before) if index != middle else None
            masks[index] = segment(index, (last is not None and next_box(last, image_size, margin)) or given)
    return masks
