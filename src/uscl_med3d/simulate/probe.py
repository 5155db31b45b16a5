"""Image geometry: which pixel lies where in the fan, and how to go between pixels and beams.

Pixel columns are lateral, rows are depth; v = 0 is the middle of the probe's face. A curved array
of radius R has its centre of curvature at v = -R; a phased array is the same with a small R.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.sparse import csr_matrix

from uscl_med3d.core.params.simulate import Acquisition, Physics


@dataclass(frozen=True)
class Fan:
    """Geometry of one sweep's images, with its interpolation tables."""

    shape: tuple[int, int]
    spacing_mm: float
    radius_mm: float
    half_angle_rad: float
    depth_mm: float
    lateral_mm: np.ndarray  # per pixel column
    below_mm: np.ndarray  # per pixel row
    mask: np.ndarray  # (h, w) bool
    depths_mm: np.ndarray  # per axial sample
    angles_rad: np.ndarray  # per beam
    to_polar: np.ndarray  # (samples * beams,) index into the fan's pixels
    to_pixels: csr_matrix  # (fan pixels, samples * beams)

    @property
    def nearest_sample(self) -> np.ndarray:
        """Index (into the samples of all beams) of the sample nearest to each of the fan's pixels."""
        weights = self.to_pixels.data.reshape(-1, 4)
        indices = self.to_pixels.indices.reshape(-1, 4)
        return np.take_along_axis(indices, weights.argmax(axis=1)[:, None], axis=1)[:, 0]

    @property
    def polar_shape(self) -> tuple[int, int]:
        """(depth samples, beams)."""
        return len(self.depths_mm), len(self.angles_rad)


def make_fan(
    acquisition: Acquisition, physics: Physics, radius_mm: float, half_angle_deg: float, depth_mm: float
) -> Fan:
    """Build the geometry; the image height is fixed, so the depth setting decides the pixel size."""
    height, width = acquisition.height_px, acquisition.width_px
    half = np.radians(half_angle_deg)
    rise = radius_mm * (1 - np.cos(half))
    spacing = (depth_mm + rise) / (height - 2 * acquisition.margin_px)
    lateral = (np.arange(width) - (width - 1) / 2) * spacing
    below = (np.arange(height) - acquisition.margin_px) * spacing - rise
    r = np.hypot(lateral[None, :], below[:, None] + radius_mm)
    theta = np.arctan2(lateral[None, :], below[:, None] + radius_mm)
    mask = (r >= radius_mm) & (r <= radius_mm + depth_mm) & (np.abs(theta) <= half)
    depths = np.linspace(0, depth_mm, physics.axial_samples)
    angles = np.linspace(-half, half, physics.beams)
    return Fan(
        shape=(height, width),
        spacing_mm=spacing,
        radius_mm=radius_mm,
        half_angle_rad=half,
        depth_mm=depth_mm,
        lateral_mm=lateral,
        below_mm=below,
        mask=mask,
        depths_mm=depths,
        angles_rad=angles,
        to_polar=_nearest_pixels(mask, spacing, lateral, below, radius_mm, depths, angles),
        to_pixels=_bilinear(
            (r[mask] - radius_mm) / (depths[1] - depths[0]),
            (theta[mask] + half) / (angles[1] - angles[0]),
            (len(depths), len(angles)),
        ),
    )


def _nearest_pixels(
    mask: np.ndarray,
    spacing: float,
    lateral: np.ndarray,
    below: np.ndarray,
    radius_mm: float,
    depths: np.ndarray,
    angles: np.ndarray,
) -> np.ndarray:
    """Index (into the fan's pixels) of the pixel nearest to each beam sample."""
    reach = radius_mm + depths[:, None]
    column = np.rint((reach * np.sin(angles) - lateral[0]) / spacing).astype(int).clip(0, mask.shape[1] - 1)
    row = (
        np.rint((reach * np.cos(angles) - radius_mm - below[0]) / spacing)
        .astype(int)
        .clip(0, mask.shape[0] - 1)
    )
    nearest = distance_transform_edt(~mask, return_distances=False, return_indices=True)
    row, column = nearest[0][row, column], nearest[1][row, column]
    number = np.cumsum(mask.ravel()).reshape(mask.shape) - 1
    return number[row, column].ravel()


def _bilinear(row: np.ndarray, column: np.ndarray, shape: tuple[int, int]) -> csr_matrix:
    """Sparse bilinear interpolation from a grid of `shape` to fractional positions."""
    row, column = row.clip(0, shape[0] - 1), column.clip(0, shape[1] - 1)
    top, left = np.minimum(row.astype(int), shape[0] - 2), np.minimum(column.astype(int), shape[1] - 2)
    down, right = row - top, column - left
    index = np.stack([top * shape[1] + left + dy * shape[1] + dx for dy in (0, 1) for dx in (0, 1)], axis=1)
    weight = np.stack(
        [(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right], axis=1
    ).astype(np.float32)
    starts = np.arange(0, 4 * len(row) + 1, 4)
    return csr_matrix((weight.ravel(), index.ravel(), starts), shape=(len(row), shape[0] * shape[1]))


@dataclass(frozen=True)
class CoarseGrid:
    """A coarser pixel grid that covers the image, on which anatomy is evaluated; nodes in row-major order."""

    shape: tuple[int, int]
    step_mm: float
    lateral_mm: np.ndarray  # per node
    below_mm: np.ndarray  # per node
    to_fan: csr_matrix  # (fan pixels, nodes), bilinear
    node_inside: np.ndarray  # (rows, columns) bool: node is a pixel of the fan
    node_pixel: np.ndarray  # index of that pixel among the fan's pixels


def coarsen(fan: Fan, step_px: int) -> CoarseGrid:
    """Every `step_px`-th pixel, and one step beyond the image."""
    rows = np.arange(0, fan.shape[0] + step_px, step_px)
    columns = np.arange(0, fan.shape[1] + step_px, step_px)
    row, column = np.nonzero(fan.mask)
    inside = np.zeros((len(rows), len(columns)), bool)
    sampled = fan.mask[::step_px, ::step_px]
    inside[: sampled.shape[0], : sampled.shape[1]] = sampled
    number = np.cumsum(fan.mask.ravel()).reshape(fan.shape) - 1
    return CoarseGrid(
        shape=(len(rows), len(columns)),
        step_mm=step_px * fan.spacing_mm,
        lateral_mm=np.tile(fan.lateral_mm[0] + columns * fan.spacing_mm, len(rows)),
        below_mm=np.repeat(fan.below_mm[0] + rows * fan.spacing_mm, len(columns)),
        to_fan=_bilinear(row / step_px, column / step_px, (len(rows), len(columns))),
        node_inside=inside,
        node_pixel=number[::step_px, ::step_px][sampled],
    )
