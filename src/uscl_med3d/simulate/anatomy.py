"""What every simulated body has: layers painted in order, a smooth deformation, an abdominal or chest wall.

Coordinates in millimetres relative to the usual place of the probe: x cranial (negative) to caudal, y depth below
the skin, z across the patient. In the usual view x is the image's horizontal axis and the sweep goes along z.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from uscl_med3d.simulate.shapes import Texture, Waves
from uscl_med3d.simulate.view import View


@dataclass(frozen=True)
class Layer:
    """A tissue painted where `field` > 0 (mm inside). `target`: a class name, "" clears it, None keeps it."""

    tissue: str
    target: str | None
    field: np.ndarray


class Anatomy(Protocol):
    """One body as one sweep sees it."""

    background: str
    body: Body

    def layers(self, points: np.ndarray) -> list[Layer]:
        """Layers at points (3, n), in painting order."""


class Body:
    """Deformation, textures and the layered wall shared by all anatomies.

    Attributes:
        view: where the probe is pressed on; whoever scans sets it.
    """

    def __init__(self, rng: np.random.Generator, fat_mm: float, muscle_mm: float, warp_mm: float) -> None:
        self.fat_mm, self.muscle_mm = fat_mm, muscle_mm
        self.view = View(0.0, (0.0, 0.0))
        self.warps = [Waves(rng, (90, 220), warp_mm, 3) for _ in range(3)]
        self.fascia = [Waves(rng, (50, 140), 1.2, 3) for _ in range(3)]

    @property
    def wall_mm(self) -> float:
        """Depth of the inner side of the wall below the probe."""
        return self.fat_mm + self.muscle_mm

    def warp(self, points: np.ndarray) -> np.ndarray:
        """Deformed coordinates of points (3, n)."""
        return np.stack([axis + wave(points) for axis, wave in zip(points, self.warps, strict=True)])

    def surface_depth(self, points: np.ndarray) -> np.ndarray:
        """Depth below the skin, which bends around the pressed probe."""
        bend = np.float32(0.006) * self.view.lateral(points) ** 2
        return points[1] + bend * np.exp(-np.maximum(points[1], 0) / np.float32(60))

    def wall(self, points: np.ndarray) -> list[Layer]:
        """Fat, muscle with a fascia in between, and the inner lining."""
        depth = self.surface_depth(points)
        lining = self.wall_mm - depth + self.fascia[0](points)
        fat = self.fat_mm - depth + self.fascia[1](points)
        return [
            Layer("muscle", "", lining),
            Layer("fascia", "", 0.9 - np.abs(fat)),
            Layer("fascia", "", 0.8 - np.abs(fat + self.muscle_mm * 0.45 + self.fascia[2](points))),
            Layer("fat", "", fat),
        ]


def make_textures(rng: np.random.Generator) -> list[Texture]:
    """Isotropic lumps and layered streaks, both fixed in space."""
    return [Texture(rng, (5.0, 5.0, 5.0), 48), Texture(rng, (18.0, 1.8, 14.0), 64)]
