"""Cubic crops of a volume: where they lie, cutting them out, and putting results back on the volume's grid.

An origin is the crop's first voxel (d, h, w) in volume indices; it is negative where the crop sticks out.
"""

from __future__ import annotations

from itertools import product

import numpy as np

Origin = tuple[int, int, int]


def centre_crop_on(voxel: tuple[int, int, int], shape: tuple[int, int, int], size: int) -> Origin:
    """Origin of the crop of `size` voxels a side around `voxel`.

    On an axis longer than the crop, the crop is moved as little as needed to stay inside the volume, because
    padding shows the model nothing; on a shorter axis the volume lies in the middle of the crop.
    """
    origin = []
    for centre, length in zip(voxel, shape, strict=True):
        if length <= size:
            origin.append(-((size - length) // 2))
        else:
            origin.append(min(max(centre - size // 2, 0), length - size))
    return origin[0], origin[1], origin[2]


def find_box(mask: np.ndarray) -> tuple[Origin, Origin]:
    """First and last voxel of a mask's bounding box. Raises `ValueError` for an empty mask."""
    found = np.nonzero(mask)
    if found[0].size == 0:
        raise ValueError("an empty mask has no box")
    first, last = ([int(end(axis)) for axis in found] for end in (np.min, np.max))
    return (first[0], first[1], first[2]), (last[0], last[1], last[2])


def tile_crops(shape: tuple[int, int, int], size: int, overlap: float) -> list[Origin]:
    """Origins of evenly spaced crops that cover the volume and overlap by at least the fraction `overlap`."""
    step = max(1, int(size * (1 - overlap)))
    axes = []
    for length in shape:
        if length <= size:
            axes.append([-((size - length) // 2)])
        else:
            count = -(-(length - size) // step) + 1
            axes.append([round(i * (length - size) / (count - 1)) for i in range(count)])
    return [(d, h, w) for d, h, w in product(*axes)]


def cut(volume: np.ndarray, origin: Origin, size: int, fill: float) -> np.ndarray:
    """The crop (size, size, size) at `origin`; voxels outside the volume get `fill`."""
    crop = np.full((size, size, size), fill, dtype=volume.dtype)
    inside, outside = common_part(volume.shape, origin, crop.shape)
    crop[inside] = volume[outside]
    return crop


def paste(crop: np.ndarray, volume: np.ndarray, origin: Origin) -> None:
    """Write the part of `crop` that lies inside `volume` into it, in place."""
    inside, outside = common_part(volume.shape, origin, crop.shape)
    volume[outside] = crop[inside]


def to_crop(voxel: tuple[int, int, int], origin: Origin) -> Origin:
    """Volume indices to crop indices."""
    return voxel[0] - origin[0], voxel[1] - origin[1], voxel[2] - origin[2]


def to_volume(voxel: tuple[int, int, int], origin: Origin) -> Origin:
    """Crop indices to volume indices."""
    return voxel[0] + origin[0], voxel[1] + origin[1], voxel[2] + origin[2]


def contains(origin: Origin, size: int, voxel: tuple[int, int, int]) -> bool:
    """Whether the crop contains a voxel given in volume indices."""
    return all(start <= at < start + size for start, at in zip(origin, voxel, strict=True))


def common_part(
    shape: tuple[int, ...], origin: Origin, crop_shape: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices of the common part of a crop and a volume of `shape`: in the crop, and in the volume."""
    inside, outside = [], []
    for length, start, side in zip(shape, origin, crop_shape, strict=True):
        first = min(max(start, 0), length)
        last = max(min(start + side, length), first)
        inside.append(slice(first - start, last - start))
        outside.append(slice(first, last))
    return tuple(inside), tuple(outside)
