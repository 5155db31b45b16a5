"""Implicit shapes: functions of points (3, n) that give millimetres inside (positive) or outside (negative).

The fields are close to signed distances, so they stay accurate when sampled coarsely and interpolated.
Matrix products are written out: a threaded BLAS may change the last bit, and with it the bytes of a video.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import map_coordinates

Vector = Sequence[float] | np.ndarray


def rotation(angles_deg: Vector) -> np.ndarray:
    """Rotation matrix (3, 3) from angles about the axes x, y, z, applied in that order."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.radians(angles_deg)), np.sin(np.radians(angles_deg))
    return np.array(
        [
            [cy * cz, sx * sy * cz - cx * sz, cx * sy * cz + sx * sz],
            [cy * sz, sx * sy * sz + cx * cz, cx * sy * sz - sx * cz],
            [-sy, sx * cy, cx * cy],
        ]
    )


def ellipsoid(points: np.ndarray, centre: Vector, radii: Vector, angles_deg: Vector) -> np.ndarray:
    """Approximate distance to the surface of a rotated ellipsoid, positive inside."""
    axes = rotation(angles_deg).T.astype(np.float32)
    offset = [points[i] - np.float32(centre[i]) for i in range(3)]
    first = second = np.float32(0)
    for row, radius in zip(axes, radii, strict=True):
        along = (row[0] * offset[0] + row[1] * offset[1] + row[2] * offset[2]) * np.float32(1 / radius)
        first = first + along**2
        second = second + (along * np.float32(1 / radius)) ** 2
    first = np.sqrt(first)
    return first * (1 - first) / (np.sqrt(second) + np.float32(1e-6))


def tube(points: np.ndarray, path: np.ndarray, radii: Vector) -> np.ndarray:
    """Distance inside a tube along a polyline; `path` is (m, 3), `radii` has one value per vertex."""
    best = np.full(points.shape[1], -np.inf, np.float32)
    for start, end, near, far in zip(path[:-1], path[1:], radii[:-1], radii[1:], strict=True):
        step = (end - start).astype(np.float32)
        offset = [points[i] - np.float32(start[i]) for i in range(3)]
        length = np.float32(max(float((step**2).sum()), 1e-6))
        share = np.clip((step[0] * offset[0] + step[1] * offset[1] + step[2] * offset[2]) / length, 0, 1)
        distance = np.sqrt(sum((offset[i] - share * step[i]) ** 2 for i in range(3)))
        np.maximum(best, np.float32(near) + share * np.float32(far - near) - distance, out=best)
    return best


def curve(rng: np.random.Generator, start: Vector, end: Vector, bend_mm: float, vertices: int) -> np.ndarray:
    """A bent path (vertices, 3) from `start` to `end`."""
    share = np.linspace(0, 1, vertices)[:, None]
    bow = rng.normal(0, bend_mm, 3) * np.sin(np.pi * share) + rng.normal(0, bend_mm / 2, 3) * np.sin(
        2 * np.pi * share
    )
    return np.asarray(start) * (1 - share) + np.asarray(end) * share + bow


class Waves:
    """A smooth random scalar field: a few plane waves with random directions."""

    def __init__(
        self, rng: np.random.Generator, wavelength_mm: tuple[float, float], amplitude: float, count: int
    ) -> None:
        direction = rng.normal(size=(count, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        self.vectors = (direction * 2 * np.pi / rng.uniform(*wavelength_mm, (count, 1))).astype(np.float32)
        self.phases = rng.uniform(0, 2 * np.pi, count).astype(np.float32)
        self.scale = np.float32(amplitude * np.sqrt(2 / count))

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Values at points (3, n); standard deviation `amplitude`."""
        total = np.zeros(points.shape[1], np.float32)
        for vector, phase in zip(self.vectors, self.phases, strict=True):
            total += np.sin(vector[0] * points[0] + vector[1] * points[1] + vector[2] * points[2] + phase)
        return total * self.scale


class Texture:
    """Band-limited noise fixed in space: normal values on a periodic lattice, interpolated linearly."""

    def __init__(self, rng: np.random.Generator, spacing_mm: Vector, cells: int) -> None:
        self.values = rng.standard_normal((cells, cells, cells), dtype=np.float32)
        self.spacing_mm = spacing_mm

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Values at points (3, n)."""
        where = np.stack([points[i] * np.float32(1 / self.spacing_mm[i]) for i in range(3)])
        return map_coordinates(self.values, where, order=1, mode="grid-wrap", output=np.float32)
