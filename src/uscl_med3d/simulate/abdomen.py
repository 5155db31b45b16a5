"""Right and left flank: liver or spleen under the diaphragm, the kidney below it, and pockets of ascites.

Sizes: liver about 15 cm, spleen 10-12 cm, kidney 10-12 cm by 5 cm by 5 cm in adults (clinical ultrasound
textbook values); fluid collects between liver and kidney, around the organ tip and in the paracolic gutter.
"""

from __future__ import annotations

import numpy as np

from uscl_med3d.simulate.anatomy import Body, Layer
from uscl_med3d.simulate.shapes import Waves, curve, ellipsoid, rotation, tube


def reach(shape: tuple, direction: np.ndarray) -> float:
    """Distance in millimetres from an ellipsoid's centre to its surface along a unit vector."""
    local = rotation(shape[2]).T * direction
    return float(1 / np.linalg.norm(local.sum(axis=1) / shape[1]))


class Flank:
    """The anatomy of one abdominal sweep.

    `person` draws what belongs to the patient (the same for both sides), `side` what belongs to this sweep.
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
        """Upper organ and kidney: the kidney lies below and beside it, in every patient, behind a gap."""
        wall = self.body.wall_mm
        radii = np.array((68, 40, 60) if self.right else (52, 29, 46))
        radii = radii * self.size * side.uniform(0.92, 1.1, 3)
        centre = np.array((-40 if self.right else -28, wall + radii[1] + 2, side.uniform(-6, 6)))
        centre[0] += side.uniform(-7, 7)
        tilt = side.uniform(4, 12) if self.right else side.uniform(8, 20)
        self.upper = (centre, radii, (side.uniform(-6, 6), side.uniform(-6, 6), tilt))
        kidney = np.array((50, 25, 28)) * self.size * person.uniform(0.94, 1.08) * side.uniform(0.95, 1.06, 3)
        turn = (side.uniform(-10, 10), side.uniform(-12, 12), side.uniform(-4, 12))
        self.towards = np.array((0.72, 0.69, side.uniform(-0.12, 0.12)) if self.right else (0.66, 0.75, 0))
        self.towards /= np.linalg.norm(self.towards)
        self.gap = 2.0 if self.fluid_share is None else 13 + 8 * self.fluid_share
        self.edge = centre + self.towards * reach(self.upper, self.towards)
        where = self.edge + self.towards * (self.gap + reach((None, kidney, turn), self.towards))
        self.kidney = (where, kidney, turn)
        self.bumps = [Waves(side, (40, 90), amplitude, 3) for amplitude in (2.0, 1.3, 2.0)]
        dome = centre + np.array((58, 14, 0) if self.right else (46, 26, 0))
        self.dome = (dome, (98 * self.size, 108, 115), (0, 0, 0))

    def place_fluid(self, side: np.random.Generator) -> None:
        """Three pockets: between the organs, at the organ's tip against the wall, and down the gutter."""
        self.pockets = []
        if self.fluid_share is None:
            return
        grow = 0.85 + 0.35 * self.fluid_share
        lean = np.degrees(np.arctan2(self.towards[0], self.towards[1]))
        middle = self.edge + self.towards * self.gap / 2
        tip = self.upper[0] + self.upper[1] * (1.0, 0.0, 0.0)
        tip[1] = self.body.wall_mm + 22 * grow
        gutter = np.add(tip, (30, side.uniform(4, 14), side.uniform(-12, 12)))
        for centre, size, angle in (
            (middle, (42, self.gap / 2 + 15, 38), -lean),
            (tip, (30, 23, 36), side.uniform(-10, 10)),
            (gutter, (27, 20, 32), side.uniform(-10, 30)),
        ):
            radii = np.array(size) * grow * side.uniform(0.92, 1.1, 3)
            place = centre + side.normal(0, 2, 3)
            self.pockets.append((place, radii, (side.uniform(-8, 8), side.uniform(-8, 8), angle)))
        if side.uniform() < 0.4:
            del self.pockets[side.integers(0, 3)]

    def place_details(self, side: np.random.Generator) -> None:
        """Vessels, ribs, bowel gas, spine, gallbladder: unlabelled, and what makes a frame look lived in."""
        centre, radii, _ = self.upper
        hilum = np.add(centre, (radii[0] * 0.3, radii[1] * 0.75, side.uniform(-10, 10)))
        self.vessels = []
        for _ in range(5 if self.right else 3):
            end = centre + side.uniform(-0.8, 0.8, 3) * radii
            bore = side.uniform(2.2, 5.0) if self.right else side.uniform(1.6, 3.0)
            self.vessels.append((curve(side, hilum, end, 7, 5), np.linspace(bore, 0.5 * bore, 5)))
        self.ribs = []
        first = side.uniform(-62, -10)
        for index in range(side.integers(0, 3)):
            x = first + 34 * index
            slope = side.uniform(-0.3, 0.3)
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
            (self.kidney[0] + (side.uniform(20, 70), side.uniform(-50, 10), side.uniform(-60, 60)),
             side.uniform(10, 18, 3), tuple(side.uniform(-40, 40, 3)))
            for _ in range(5)
        ]  # fmt: skip
        self.spine = side.uniform(150, 165)
        self.gallbladder = None
        if self.right and side.uniform() < 0.5:
            where = centre + radii * (0.5, 0.8, 0) + (0, 0, side.choice([-1, 1]) * side.uniform(28, 42))
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
        return [*layers, *(Layer("bone", "", tube(flat, *rib)) for rib in self.ribs)]

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
