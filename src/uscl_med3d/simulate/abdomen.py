"""Right and left flank: liver or spleen under the diaphragm, the kidney below it, and pockets of ascites.

Sizes: liver about 15 cm, spleen 10-12 cm, kidney 10-12 cm by 5 cm by 5 cm in adults (clinical ultrasound
textbook values); fluid collects between liver and kidney, around the organ tip and in the paracolic gutter.
"""

from __future__ import annotations

import numpy as np

from uscl_med3d.core.params.simulate import Build
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
        self,
        person: np.random.Generator,
        side: np.random.Generator,
        view: str,
        has_ascites: bool,
        build: Build,
    ) -> None:
        self.right = view == "abdomen_right"
        self.size = person.uniform(*build.size)
        self.body = Body(side, person.uniform(*build.fat_mm), person.uniform(*build.muscle_mm), 7.0)
        self.fluid_share = person.uniform(0.0, 1.0) if has_ascites else None
        self.place_organs(person, side)
        self.place_fluid(side)
        self.place_details(side)

    def place_organs(self, person: np.random.Generator, side: np.random.Generator) -> None:
        """Upper organ and kidney: the kidney lies below and beside it, in a bed that hollows the upper organ."""
        lift = side.uniform(2, 18)  # omentum or fluid in front
        radii = np.array((88, 35, 80) if self.right else (72, 30, 60))
        radii = radii * self.size * side.uniform(0.88, 1.12, 3)
        centre = np.array(
            (-38 if self.right else -26, self.body.wall_mm + radii[1] + lift, side.uniform(-8, 8))
        )
        centre[0] += side.uniform(-9, 9)
        tilt = side.uniform(2, 16) if self.right else side.uniform(4, 24)
        self.upper = (centre, radii, (side.uniform(-10, 10), side.uniform(-10, 10), tilt))
        # Gut and stomach press on the organ from below: a wedge remains of the liver, a crescent of the spleen.
        aside = side.choice([-1, 1]) * side.uniform(0.2, 0.45)
        press = (0.4, 0.98, aside) if self.right else (0.12, 0.9, aside)
        bulge = (0.85, 0.82, 1.05) if self.right else (0.95, 0.77, 1.05)
        self.hollow = (centre + radii * press, radii * bulge, (0, side.uniform(-15, 15), tilt))
        # Ligament and fat cut into the liver between its lobes.
        cut = centre + radii * (side.uniform(-0.5, 0.2), 0.75, -np.sign(aside) * side.uniform(0.1, 0.5))
        turned = (side.uniform(-20, 20), side.uniform(-60, 60), tilt)
        self.fissure = (cut, np.array((60, 36, 10)) * self.size, turned) if self.right else None
        kidney = np.array((60, 18, 29)) * self.size * person.uniform(0.9, 1.1) * side.uniform(0.93, 1.08, 3)
        turn = (side.uniform(-15, 15), side.uniform(-25, 25), side.uniform(-8, 16))
        towards = np.array((0.72, 0.69, side.uniform(-0.3, 0.3)) if self.right else (0.66, 0.75, 0))
        towards /= np.linalg.norm(towards)
        self.gap = 3.0 if self.fluid_share is None else 11 + 10 * self.fluid_share
        where = centre + towards * (reach(self.upper, towards) + side.uniform(4, 16))
        self.kidney = (where, kidney, turn)
        self.bed = (where, kidney + self.gap, turn)
        hilum = side.choice([-1, 1]) * side.uniform(0.55, 0.8)
        self.hilum = (
            where + kidney * (side.uniform(-0.1, 0.1), 0.75, hilum),
            kidney * (0.45, 0.75, 0.75),
            turn,
        )
        self.bumps = [Waves(side, (35, 90), amplitude, 3) for amplitude in (4.0, 1.6, 3.0)]
        dome = centre + np.array((58, 14, 0) if self.right else (46, 26, 0)) * self.size
        self.dome = (dome, np.array((98, 108, 115)) * (self.size, 1, 1), (0, 0, 0))

    def place_fluid(self, side: np.random.Generator) -> None:
        """Fluid in the kidney's bed, as a layer around the organ, thickest at its tip, and down the gutter."""
        self.layer_mm: float | None = None
        self.loops: list[tuple] = []
        if self.fluid_share is None:
            return
        self.layer_mm = (6 + 13 * self.fluid_share) * side.uniform(0.85, 1.15)
        self.uneven = Waves(side, (60, 140), 4.0, 3)
        grow = 0.85 + 0.4 * self.fluid_share
        tip = self.upper[0] + self.upper[1] * (1.0, 0.0, 0.0)
        tip[1] = self.body.wall_mm + 20 * grow
        gutter = np.add(tip, (side.uniform(8, 30), side.uniform(0, 14), side.uniform(-20, 20)))
        self.gutter = (
            gutter,
            np.array((38, 21, 42)) * grow * side.uniform(0.85, 1.15, 3),
            tuple(side.uniform(-20, 20, 3)),
        )
        for _ in range(5):  # loops of bowel hang into the fluid
            place = gutter + side.uniform(-1, 1, 3) * (36, 10, 42) + (0, side.uniform(8, 26), 0)
            self.loops.append((place, side.uniform(9, 15, 3), tuple(side.uniform(-40, 40, 3))))

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
            (
                self.kidney[0] + (side.uniform(20, 70), side.uniform(-50, 10), side.uniform(-60, 60)),
                side.uniform(10, 18, 3),
                tuple(side.uniform(-40, 40, 3)),
            )
            for _ in range(5)
        ]
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
        whole = ellipsoid(points, *self.upper) + upper_bumps
        bed = ellipsoid(points, *self.bed) + 0.5 * upper_bumps
        upper = np.minimum.reduce([whole, -ellipsoid(points, *self.hollow) + upper_bumps, -bed, dome - 3])
        if self.fissure is not None:
            upper = np.minimum(upper, -ellipsoid(points, *self.fissure))
        layers = self.bowel_layers(points, self.bowel)
        layers += [Layer("gas", "", ellipsoid(points, *shape)) for shape in self.gas]
        layers.append(Layer("bone", "", flat[1] - self.spine - 5 * np.cos(flat[0] / 9)))
        if self.layer_mm is not None:
            fluid = self.fluid(points, whole, bed) + fluid_bumps
            layers.append(Layer("fluid", "ascites", np.minimum(fluid, dome - 3)))
            layers += self.bowel_layers(points, self.loops)
        layers += self.kidney_layers(points, kidney_bumps)
        name = "liver" if self.right else "spleen"
        layers += [Layer("capsule", "", upper + 1.6), Layer(name, name, upper)]
        layers += self.vessel_layers(points, upper)
        if self.gallbladder is not None:
            field = ellipsoid(points, *self.gallbladder)
            layers += [Layer("capsule", "", field + 2), Layer("bile", "", field)]
        beyond = np.minimum(-dome, 20 - flat[0])
        layers += [Layer("diaphragm", "", beyond + 2.5), Layer("lung_mirror", "", beyond)]
        layers += self.body.wall(flat)
        ribs = self.ribs if self.body.view.across_ribs() else []
        return [*layers, *(Layer("bone", "", tube(flat, *rib)) for rib in ribs)]

    def fluid(self, points: np.ndarray, whole: np.ndarray, bed: np.ndarray) -> np.ndarray:
        """Millimetres inside the fluid: around the upper organ, between it and the kidney, in the gutter."""
        assert self.layer_mm is not None
        centre, radii, _ = self.upper
        along = np.clip((points[0] - np.float32(centre[0])) / np.float32(radii[0]), -1, 1)
        around = whole + np.float32(self.layer_mm) * (np.float32(0.62) + np.float32(0.5) * along)
        around += self.uneven(points)
        between = np.minimum(bed, whole + 16)
        return np.maximum.reduce([around, between, ellipsoid(points, *self.gutter)])

    @staticmethod
    def bowel_layers(points: np.ndarray, shapes: list[tuple]) -> list[Layer]:
        """Loops of bowel: a bright wall around mixed content."""
        fields = [ellipsoid(points, *shape) for shape in shapes]
        return [
            layer
            for field in fields
            for layer in (Layer("bowel_wall", "", field), Layer("bowel", "", field - 2.5))
        ]

    def kidney_layers(self, points: np.ndarray, bumps: np.ndarray) -> list[Layer]:
        """Perirenal fat, cortex, pyramids around the bright sinus, which opens at the hilum."""
        where, radii, angles = self.kidney
        whole = ellipsoid(points, where, radii, angles) + bumps
        kidney = np.minimum(whole, -ellipsoid(points, *self.hilum))
        sinus = np.minimum(ellipsoid(points, where, radii * [0.62, 0.42, 0.42], angles), kidney - 4)
        pyramids = np.minimum(8 - np.abs(sinus + 7), 5 * np.cos(points[0] / 4.2) - 1.5)
        return [
            Layer("perirenal_fat", "", whole + 3),
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
