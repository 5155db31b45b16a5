"""Crops of the contextual-position task: where they lie, how they overlap, how they become encoder inputs.

A box is (d0, h0, w0, d1, h1, w1) in voxels of a (d, h, w) volume, the end not included.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from uscl_med3d.nets.intensity import zscore_foreground
from uscl_med3d.selfsupervised.images import cut_crops


def base_boxes(shape_dhw: Sequence[int], grid_dhw: Sequence[int]) -> np.ndarray:
    """Non-overlapping base crops that tile the volume, (n, 6) int64, n = product of the grid, w fastest.

    Where an axis is not divisible by the grid, the cells differ by one voxel.

    Raises:
        ValueError: if an axis has fewer voxels than cells.
    """
    _check(shape_dhw, grid_dhw)
    edges = [
        np.round(np.linspace(0, size, cells + 1)).astype(np.int64)
        for size, cells in zip(shape_dhw, grid_dhw, strict=True)
    ]
    low = np.stack(np.meshgrid(*[edge[:-1] for edge in edges], indexing="ij"), -1).reshape(-1, 3)
    high = np.stack(np.meshgrid(*[edge[1:] for edge in edges], indexing="ij"), -1).reshape(-1, 3)
    return np.concatenate([low, high], 1)


def random_boxes(
    shape_dhw: Sequence[int], grid_dhw: Sequence[int], count: int, rng: np.random.Generator
) -> np.ndarray:
    """`count` crops of a base crop's size at uniform places inside the volume, (count, 6) int64.

    Along an axis with one cell the crop spans the whole axis, as in VoCo, whose crops move in-plane only
    (Luffy03/VoCo@ba7b7bd22e98:utils/data_utils.py).
    """
    _check(shape_dhw, grid_dhw)
    shape = np.asarray(shape_dhw)
    side = shape // np.asarray(grid_dhw)
    low = rng.integers(0, shape - side, size=(count, 3), endpoint=True)
    return np.concatenate([low, low + side], 1)


def overlap_fractions(random: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Labels y: share of each random crop's volume inside each base crop, (r, 6), (n, 6) -> (r, n) float64.

    Base crops tile the volume, so the labels of a crop sum to 1.
    """
    low = np.maximum(random[:, None, :3], base[None, :, :3])
    high = np.minimum(random[:, None, 3:], base[None, :, 3:])
    shared = np.clip(high - low, 0, None).prod(-1)
    return shared / (random[:, 3:] - random[:, :3]).prod(-1)[:, None]


def augment(
    crops: Tensor,
    rng: np.random.Generator,
    *,
    flip_probability: float,
    rotate_probability: float,
    shift_probability: float,
    shift: float,
) -> Tensor:
    """Per crop: a flip of each axis, a quarter turn in the image plane (h, w), a shift of the intensities.

    `shift` bounds the shift in standard deviations of the normalised crop. These are VoCo's augmentations
    (Luffy03/VoCo@ba7b7bd22e98:utils/data_utils.py); the paper names none.
    """
    out = []
    for crop in crops:
        # One draw per decision whether it is used or not: a changed probability does not move later draws.
        flips, turn, shifted = rng.random(3), rng.random(), rng.random()
        turns, amount = int(rng.integers(1, 4)), rng.uniform(-shift, shift)
        axes = [axis for axis, draw in zip((1, 2, 3), flips, strict=True) if draw < flip_probability]
        if axes:
            crop = crop.flip(axes)
        if turn < rotate_probability:
            crop = torch.rot90(crop, turns, (2, 3))
        out.append(crop + amount if shifted < shift_probability else crop)
    return torch.stack(out)


def draw_crops(
    volume: Tensor, grid_dhw: Sequence[int], count: int, size: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """One volume's task: normalised random crops (r, 1, s, s, s), base crops (n, 1, s, s, s), labels (r, n).

    Each crop is normalised by its own foreground, as the encoder's inputs are elsewhere: otherwise the
    brightness that falls with depth would give the position away.
    """
    base = base_boxes(volume.shape, grid_dhw)
    random = random_boxes(volume.shape, grid_dhw, count, rng)
    crops = zscore_foreground(cut_crops(volume, np.concatenate([random, base]), size))
    labels = torch.from_numpy(overlap_fractions(random, base)).float()
    return crops[:count], crops[count:], labels


def _check(shape_dhw: Sequence[int], grid_dhw: Sequence[int]) -> None:
    if any(size < cells for size, cells in zip(shape_dhw, grid_dhw, strict=True)):
        raise ValueError(
            f"a volume of {tuple(shape_dhw)} voxels cannot be cut into {tuple(grid_dhw)} base crops"
        )
