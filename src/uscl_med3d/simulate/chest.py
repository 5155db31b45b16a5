"""Lower chest: ribs, aerated lung, a pleural effusion with collapsed lung in it, diaphragm, liver below.

Pleural line about 0.5 cm below the ribs; A-lines at multiples of its depth and B-lines are made in `physics`.
"""

from __future__ import annotations

import numpy as np

from uscl_med3d.simulate.anatomy import Body, Layer
from uscl_med3d.simulate.shapes import Waves, curve, ellipsoid, tube


class Chest:
    """The anatomy of one chest sweep; `person` and `side` as in `abdomen.Flank`."""

    background = "lung"

    def __init__(self, person: np.random.Generator, side: np.random.Generator) -> None:
        self.size = person.uniform(0.9, 1.1)
        self.body = Body(side, person.uniform(6, 12), person.uniform(12, 17), 3.0)
        wall = self.body.wall_mm
        self.below = str(side.choice(["liver", "spleen"]))
        across = side.uniform(8, 30)
        self.dome = (
            np.array([across + 88 * self.size, wall + side.uniform(70, 90), side.uniform(-10, 10)]),
            np.array([88, 96, 125]) * self.size,
            (0, side.uniform(-6, 6), side.uniform(-8, 8)),
        )
        self.amount = person.uniform(0.7, 1.12)
        radii = np.array([52, 50, 52]) * self.amount * side.uniform(0.9, 1.1, 3)
        centre = np.array([across - 0.45 * radii[0], wall + 0.6 * radii[1], side.uniform(-8, 8)])
        self.effusion = (centre, radii, (0, side.uniform(-10, 10), side.uniform(-20, 10)))
        tongue = np.array([34, 13, 30]) * self.amount * side.uniform(0.85, 1.2, 3)
        shift = (-0.75 * radii[0], side.uniform(0.0, 0.35) * radii[1], side.uniform(-8, 8))
        place = np.add(centre, shift)
        self.collapsed = (place, tongue, (side.uniform(-10, 10), side.uniform(-10, 10), side.uniform(5, 35)))
        self.bumps = [Waves(side, (35, 85), amplitude, 3) for amplitude in (4.5, 2.5)]
        self.bronchi = [
            (place + side.uniform(-0.7, 0.7, 3) * tongue, side.uniform(0.9, 2.0, 3), (0, 0, 0))
            for _ in range(10)
        ]
        self.vessels = [(self._draw_vessel(side), np.full(4, side.uniform(1.8, 3.6))) for _ in range(3)]
        self.ribs = []
        first = side.uniform(-66, -44)
        for index in range(5):
            x, slope = first + index * side.uniform(29, 33), side.uniform(0.1, 0.3)
            ends = ([x - 90 * slope, wall - 9, -90], [x + 90 * slope, wall - 9, 90])
            self.ribs.append((curve(side, *ends, 2, 5), np.full(5, side.uniform(3.4, 4.6))))

    def _draw_vessel(self, side: np.random.Generator) -> np.ndarray:
        start, end = (self.dome[0] + side.uniform(low, high, 3) for low, high in ((-70, -20), (-70, 10)))
        return curve(side, start, end, 8, 4)

    def layers(self, points: np.ndarray) -> list[Layer]:
        """Layers at points (3, n), in painting order; the background is aerated lung."""
        flat, points = points, self.body.warp(points)
        first, second = (bump(points) for bump in self.bumps)
        effusion = ellipsoid(points, *self.effusion) + first
        collapsed = ellipsoid(points, *self.collapsed) + second
        dome = ellipsoid(points, *self.dome)
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
