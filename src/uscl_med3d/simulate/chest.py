"""Lower chest: ribs, aerated lung, a pleural effusion with collapsed lung in it, diaphragm, liver or spleen below.

Free fluid gathers in the angle between chest wall and diaphragm; it is thickest there and thins out upwards along the
wall and inwards over the diaphragm. Pleural line about 0.5 cm below the ribs; A-lines at multiples of its depth and
B-lines are made in `physics`.
"""

from __future__ import annotations

import numpy as np

from uscl_med3d.core.params.simulate import Build
from uscl_med3d.simulate.anatomy import Body, Layer
from uscl_med3d.simulate.shapes import Waves, curve, ellipsoid, tube


class Chest:
    """The anatomy of one chest sweep; `person` and `side` as in `abdomen.Flank`."""

    background = "lung"

    def __init__(self, person: np.random.Generator, side: np.random.Generator, build: Build) -> None:
        self.size = person.uniform(*build.size)
        self.body = Body(side, person.uniform(*build.fat_mm), person.uniform(*build.muscle_mm), 5.0)
        wall = self.body.wall_mm
        self.below = str(side.choice(["liver", "spleen"]))
        self.edge = side.uniform(0, 30)
        self.dome = (
            np.array([self.edge + 88 * self.size, wall + side.uniform(66, 92), side.uniform(-14, 14)]),
            np.array([88, 96, 125]) * self.size * side.uniform(0.9, 1.1, 3),
            (0, side.uniform(-10, 10), side.uniform(-12, 12)),
        )
        self.place_fluid(person, side)
        self.bumps = [Waves(side, (30, 80), amplitude, 3) for amplitude in (6.0, 2.5)]
        self.vessels = [(self._draw_vessel(side), np.full(4, side.uniform(1.8, 3.6))) for _ in range(3)]
        self.ribs = []
        first = side.uniform(-100, -70)
        for index in range(7):
            x, slope = first + index * side.uniform(29, 33), side.uniform(0.1, 0.3)
            ends = ([x - 110 * slope, wall - 9, -110], [x + 110 * slope, wall - 9, 110])
            self.ribs.append((curve(side, *ends, 2, 5), np.full(5, side.uniform(3.4, 4.6))))

    def place_fluid(self, person: np.random.Generator, side: np.random.Generator) -> None:
        """Thickness of the fluid and how far it reaches; the collapsed tip of the lung that floats in it."""
        wall = self.body.wall_mm
        self.amount = person.uniform(0.0, 1.0)
        self.thickness = (18 + 32 * self.amount) * self.size * side.uniform(0.85, 1.15)
        self.height = (75 + 60 * self.amount) * side.uniform(0.85, 1.15)
        self.inwards = (70 + 70 * self.amount) * side.uniform(0.85, 1.15)
        self.under_lung = side.uniform(0.35, 0.75)
        self.middle = side.uniform(-25, 25)
        tongue = np.array([34, 10, 28]) * side.uniform(0.8, 1.25, 3) * (0.7 + 0.5 * self.amount)
        place = np.array(
            [
                self.edge - side.uniform(0.2, 0.55) * self.height,
                wall + 0.6 * self.thickness,
                side.uniform(-14, 14),
            ]
        )
        turn = (side.uniform(-10, 10), side.uniform(-25, 25), side.uniform(5, 35))
        self.collapsed = (place, tongue, turn)
        self.bronchi = [
            (place + side.uniform(-0.7, 0.7, 3) * tongue, side.uniform(0.9, 2.0, 3), (0, 0, 0))
            for _ in range(10)
        ]

    def _draw_vessel(self, side: np.random.Generator) -> np.ndarray:
        start, end = (self.dome[0] + side.uniform(low, high, 3) for low, high in ((-70, -20), (-70, 10)))
        return curve(side, start, end, 8, 4)

    def fluid(self, points: np.ndarray, dome: np.ndarray) -> np.ndarray:
        """Millimetres inside the fluid: a layer below the wall and one over the diaphragm."""
        below_wall = points[1] - np.float32(self.body.wall_mm)
        up = (np.float32(self.edge + 10) - points[0]) / np.float32(self.height)
        along = np.clip(1 - up, 0, 1.15)
        fading = 1 - ((points[2] - np.float32(self.middle)) / np.float32(110)) ** 2
        costal = np.float32(self.thickness) * along * np.clip(fading, 0.3, 1) - below_wall
        over = np.clip(1 - below_wall / np.float32(self.inwards), 0, 1)
        phrenic = np.float32(self.under_lung * self.thickness) * over + dome
        return np.maximum(costal, phrenic)

    def layers(self, points: np.ndarray) -> list[Layer]:
        """Layers at points (3, n), in painting order; the background is aerated lung."""
        flat, points = points, self.body.warp(points)
        first, second = (bump(points) for bump in self.bumps)
        dome = ellipsoid(points, *self.dome)
        effusion = self.fluid(points, dome) + first
        collapsed = ellipsoid(points, *self.collapsed) + second
        bronchi = np.max([ellipsoid(points, *shape) for shape in self.bronchi], axis=0)
        vessels = np.max([tube(points, *vessel) for vessel in self.vessels], axis=0)
        ribs = np.max([tube(flat, *rib) for rib in self.ribs], axis=0)
        return [
            Layer("fluid", "pleural_effusion", effusion),
            Layer("collapsed_lung", "", collapsed),
            Layer("bronchus", "", np.minimum(bronchi, collapsed - 3)),
            Layer("diaphragm", "", dome + 2.5),
            Layer(self.below, "", dome),
            Layer("blood", "", np.minimum(vessels, dome - 4)),
            *self.body.wall(flat),
            Layer("bone", "", ribs),
        ]
