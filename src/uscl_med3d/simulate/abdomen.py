"""Right and left flank: liver or spleen under the diaphragm, the kidney below it, and pockets of ascites.

Sizes: liver about 15 cm, spleen 10-12 cm, kidney 10-12 cm by 5 cm by 5 cm in adults (clinical ultrasound
textbook values); fluid collects between liver and kidney, around the organ tip and in the paracolic gutter.
"""

from __future__ import annotations

import numpy as np

from uscl_med3d.simulate.anatomy import Body, Layer
from uscl_med3d.simulate.shapes import Waves, curve, ellipsoid, tube


class Flank:
    """The anatomy of one abdominal sweep.

    `person` draws what belongs to the patient (same stream for both sides), `side` what belongs to the sweep's side.
    """

    background = "mesentery"

    def __init__(
        self, person: np.random.Generator, side: np.random.Generator, view: str, has_ascites: bool
    ) -> None:
        self.right = view == "abdomen_right"
        self.size = person.uniform(0.9, 1.1)
        self.body = Body(side, person.uniform(8, 17), person.uniform(8, 13), 3.5)
        self.fluid_share = person.uniform(0.0, 1.0) if has_ascites else None
        self.place_organs(person, side)
        self.place_fluid(side)
        self.place_details(side)

    def place_organs(self, person: np.random.Generator, side: np.random.Generator) -> None:
        """Upper organ (liver or spleen) and kidney, keeping their relative position in every patient."""
        size, wall = self.size, self.body.wall_mm
        shift = side.uniform(-8, 8, 3) * [1, 0.3, 1]
        if self.right:
            radii = np.array([74, 46, 66]) * size * side.uniform(0.9, 1.1, 3)
            centre = [-32, wall + 0.86 * radii[1] + 2, 4]
            angles = (side.uniform(-6, 6), side.uniform(-6, 6), side.uniform(8, 16))
        else:
            radii = np.array([55, 31, 47]) * size * side.uniform(0.9, 1.15, 3)
            centre = [-18, wall + 0.95 * radii[1] + 4, -2]
            angles = (side.uniform(-8, 8), side.uniform(-8, 8), side.uniform(10, 24))
        self.upper = (np.array(centre) + shift, radii, angles)
        gap = 0.0 if self.fluid_share is None else 13 + 9 * self.fluid_share
        kidney = np.array([54, 27, 29]) * size * person.uniform(0.92, 1.1) * side.uniform(0.94, 1.06, 3)
        down = 0.52 * radii[1] if self.right else 0.62 * radii[1]
        where = self.upper[0] + [62 if self.right else 50, down + 0.5 * kidney[1] + gap, side.uniform(-8, 8)]
        self.kidney = (where, kidney, (side.uniform(-10, 10), side.uniform(-12, 12), side.uniform(-2, 14)))
        self.bumps = [Waves(side, (35, 80), amplitude, 3) for amplitude in (2.2, 1.4, 2.5)]
        dome = np.array([25, 78, 0]) + shift
        self.dome = (dome, (98 * size, 108, 115), (0, 0, 0))

    def place_fluid(self, side: np.random.Generator) -> None:
        """Three pockets: between the organs, at the organ tip against the wall, and down the gutter."""
        self.pockets = []
        if self.fluid_share is None:
            return
        grow = 0.85 + 0.3 * self.fluid_share
        between = 0.5 * self.upper[0] + 0.5 * self.kidney[0]
        tip = self.upper[0] + [self.upper[1][0] * 0.92, -0.28 * self.upper[1][1], 0]
        for centre, radii in (
            (between + [-4, 4, 0], (46, 29, 40)),
            (tip, (34, 24, 38)),
            (tip + [34, 8, 0], (30, 22, 34)),
        ):
            radii = np.array(radii) * grow * side.uniform(0.9, 1.1, 3)
            centre = centre + side.normal(0, 3, 3)
            centre[1] = max(centre[1], self.body.wall_mm + 0.55 * radii[1])
            self.pockets.append((centre, radii, tuple(side.uniform(-12, 12, 3))))

    def place_details(self, side: np.random.Generator) -> None:
        """Vessels, ribs, bowel gas, spine, gallbladder: unlabelled, and what makes a frame look lived in."""
        centre, radii, _ = self.upper
        hilum = centre + [radii[0] * 0.3, radii[1] * 0.75, side.uniform(-10, 10)]
        self.vessels = []
        for _ in range(5 if self.right else 3):
            end = centre + side.uniform(-0.8, 0.8, 3) * radii
            bore = side.uniform(2.2, 5.0) if self.right else side.uniform(1.6, 3.0)
            self.vessels.append((curve(side, hilum, end, 7, 5), np.linspace(bore, 0.5 * bore, 5)))
        self.ribs = []
        first = side.uniform(-62, -40)
        for index in range(2):
            x = first + 34 * index
            slope = side.uniform(-0.18, 0.18)
            ends = ([x - 90 * slope, self.body.wall_mm - 5, -90], [x + 90 * slope, self.body.wall_mm - 5, 90])
            self.ribs.append((curve(side, *ends, 2, 5), np.full(5, side.uniform(3.2, 4.6))))
        self.gas = [
            (
                [side.uniform(78, 98), side.uniform(45, 80), side.uniform(-55, 55)],
                side.uniform(8, 16, 3),
                (0, 0, 0),
            )
            for _ in range(3)
        ]
        self.bowel = [
            (self.kidney[0] + [side.uniform(20, 70), side.uniform(-40, 20), side.uniform(-60, 60)],
             side.uniform(10, 18, 3), tuple(side.uniform(-40, 40, 3)))
            for _ in range(5)
        ]  # fmt: skip
        self.spine = side.uniform(150, 165)
        self.gallbladder = None
        if self.right and side.uniform() < 0.5:
            where = centre + [0.55 * radii[0], 0.72 * radii[1], side.choice([-1, 1]) * side.uniform(30, 45)]
            self.gallbladder = (
                where,
                side.uniform(0.9, 1.2) * np.array([24, 11, 12]),
                (0, 0, side.uniform(-30, 30)),
            )

    def layers(self, points: np.ndarray) -> list[Layer]:
        """Layers at points (3, n), in painting order."""
        flat, points = points, self.body.warp(points)
        upper_bumps, kidney_bumps, fluid_bumps = (bump(points) for bump in self.bumps)
        dome = ellipsoid(points, *self.dome)
        upper = np.minimum(ellipsoid(points, *self.upper) + upper_bumps, dome - 3)
        kidney = ellipsoid(points, *self.kidney) + kidney_bumps
        if not self.right:  # the spleen is hollowed by the kidney
            upper = np.minimum(
                upper, -(ellipsoid(points, self.kidney[0], self.kidney[1] + 6, self.kidney[2]))
            )
        layers = []
        for shape in self.bowel:
            field = ellipsoid(points, *shape)
            layers += [Layer("bowel_wall", "", field), Layer("bowel", "", field - 2.5)]
        layers += [Layer("gas", "", ellipsoid(points, *shape)) for shape in self.gas]
        layers.append(Layer("bone", "", flat[1] - self.spine - 5 * np.cos(flat[0] / 9)))
        fluid = None
        if self.pockets:
            fluid = np.max([ellipsoid(points, *pocket) for pocket in self.pockets], axis=0) + fluid_bumps
            layers.append(Layer("fluid", "ascites", np.minimum(fluid, dome - 3)))
        layers += self.kidney_layers(points, kidney)
        name = "liver" if self.right else "spleen"
        layers += [Layer("capsule", "", upper + 1.0), Layer(name, name, upper)]
        layers += self.vessel_layers(points, upper)
        if self.gallbladder is not None:
            field = ellipsoid(points, *self.gallbladder)
            layers += [Layer("capsule", "", field + 2), Layer("bile", "", field)]
        beyond = np.minimum(-dome, 20 - flat[0])
        layers += [Layer("diaphragm", "", beyond + 2.5), Layer("lung_mirror", "", beyond)]
        layers += self.body.wall(flat)
        ribs = np.max([tube(flat, *rib) for rib in self.ribs], axis=0)
        return [*layers, Layer("bone", "", ribs)]

    def kidney_layers(self, points: np.ndarray, kidney: np.ndarray) -> list[Layer]:
        """Perirenal fat, cortex, pyramids around the bright sinus."""
        where, radii, angles = self.kidney
        sinus = ellipsoid(points, where, radii * [0.62, 0.42, 0.42], angles)
        pyramids = np.minimum(8 - np.abs(sinus + 7), 5 * np.cos(points[0] / 4.2) - 1.5)
        return [
            Layer("perirenal_fat", "", kidney + 3),
            Layer("capsule", "kidney", kidney),
            Layer("kidney", "kidney", kidney - 1),
            Layer("pyramid", "kidney", np.minimum(pyramids, kidney - 5)),
            Layer("sinus", "kidney", sinus + 1.5 * np.sin(points[0] / 5) * np.sin(points[2] / 6)),
        ]

    def vessel_layers(self, points: np.ndarray, upper: np.ndarray) -> list[Layer]:
        """Vessels with a thin bright wall; they belong to the organ's mask."""
        field = np.max([tube(points, *vessel) for vessel in self.vessels], axis=0)
        wall = np.minimum(field + 1.2, upper - 2)
        return [Layer("vessel_wall", None, wall), Layer("blood", None, np.minimum(field, upper - 2))]
