"""Frames with poses to one volume: every pixel is put where it was seen, gaps between frames are filled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from uscl_med3d.data.tracked.grid import VolumeGrid
from uscl_med3d.data.tracked.poses import Track


@dataclass(frozen=True)
class Reconstruction:
    """A volume and how it was covered.

    image: uint8 (z, y, x), 0 where nothing was seen. covered: bool (z, y, x), seen or filled.
    seen_share: of the covered voxels those that a pixel fell into.
    """

    image: np.ndarray
    covered: np.ndarray
    seen_share: float


def reconstruct(
    frames: Iterable[np.ndarray],
    track: Track,
    grid: VolumeGrid,
    region: np.ndarray,
    interpolation: str,
    fill_mm: float,
) -> Reconstruction:
    """Mean of the pixels that fall into each voxel, then gaps of up to twice `fill_mm` filled.

    Args:
        frames: uint8 (rows, columns), all frames of the file in order; those without a pose are skipped.
        track: poses.
        grid: of the result.
        region: bool (rows, columns): pixels outside it are furniture and never used.
        interpolation: `linear`: a pixel is shared by the 8 voxels around it; `nearest`: one voxel gets it.
        fill_mm: a gap is filled where it is enclosed by seen voxels this near (0: nothing is filled).
    """
    shape = grid.size[::-1]
    total, weight = (np.zeros(int(np.prod(shape)), np.float32) for _ in range(2))
    y, x = np.nonzero(region)
    pixels = np.stack([x, y, np.zeros_like(x), np.ones_like(x)]).astype(float)
    for number, frame in enumerate(frames):
        if number in track.poses:
            voxels = (grid.to_voxel(track.poses[number]) @ pixels)[:3]
            _add(total, weight, voxels, frame[y, x].astype(np.float32), shape, interpolation)
    total, weight = total.reshape(shape), weight.reshape(shape)
    # A pixel's far share of a voxel (below 1e-3) says next to nothing about it.
    seen = weight > 1e-3
    image = np.where(seen, total / np.maximum(weight, 1e-3), 0)
    covered = seen if fill_mm <= 0 else _fill(image, seen, fill_mm / grid.spacing_mm)
    share = float(seen.sum() / max(1, covered.sum()))
    return Reconstruction(np.clip(np.rint(image), 0, 255).astype(np.uint8), covered, share)


def _add(
    total: np.ndarray,
    weight: np.ndarray,
    voxels: np.ndarray,
    grey: np.ndarray,
    shape: tuple[int, ...],
    interpolation: str,
) -> None:
    """Add pixels at voxel coordinates (3, n), ordered x, y, z, to the flat sums."""
    if interpolation == "nearest":
        _put(total, weight, np.rint(voxels).astype(np.int64), grey, np.ones_like(grey), shape)
        return
    base = np.floor(voxels).astype(np.int64)
    part = (voxels - base).astype(np.float32)
    for corner in np.ndindex(2, 2, 2):
        share = np.prod([part[i] if step else 1 - part[i] for i, step in enumerate(corner)], axis=0)
        _put(total, weight, base + np.array(corner)[:, None], grey, share, shape)


def _put(
    total: np.ndarray,
    weight: np.ndarray,
    index: np.ndarray,
    grey: np.ndarray,
    share: np.ndarray,
    shape: tuple[int, ...],
) -> None:
    x, y, z = index
    depth, height, width = shape
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (z >= 0) & (z < depth)
    if not inside.any():
        return
    flat = ((z * height + y) * width + x)[inside]
    # Sums over the span of one frame, not over the whole volume, and in the order of the pixels.
    first, span = int(flat.min()), int(np.ptp(flat)) + 1
    share = share[inside]
    total[first : first + span] += np.bincount(flat - first, share * grey[inside], span).astype(np.float32)
    weight[first : first + span] += np.bincount(flat - first, share, span).astype(np.float32)


def _fill(image: np.ndarray, seen: np.ndarray, radius: float) -> np.ndarray:
    """Fill gaps of `image` in place, up to `radius` voxels from what was seen; returns what is covered then."""
    from scipy import ndimage

    # Closing by distances: grown by the radius, then shrunk by it, so that the outer border stays where it was.
    margin = int(np.ceil(radius)) + 1
    near = np.pad(ndimage.distance_transform_edt(~seen) <= radius, margin, mode="edge")
    closed = (ndimage.distance_transform_edt(near) > radius)[tuple(slice(margin, -margin) for _ in range(3))]
    gaps = closed & ~seen
    # Mean of what was seen around, weighted by nearness. Nothing nearer than the radius: no weight, no grey value.
    blur: dict[str, Any] = {"sigma": radius / 2, "mode": "constant", "truncate": 3.0}
    around = ndimage.gaussian_filter(seen.astype(np.float32), **blur)
    values = ndimage.gaussian_filter(np.where(seen, image, 0).astype(np.float32), **blur)
    gaps &= around > 1e-6
    image[gaps] = values[gaps] / around[gaps]
    return seen | gaps
