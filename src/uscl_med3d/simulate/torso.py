"""Torsos for the CT and MR sets: abdominal organs (AMOS-like) and whole trunks (TotalSegmentator-like).

Coordinates: x left-right (+ left), y front-back (+ back), z foot-head (+ head), in units of the body's half
width. The bodies are small, so that the organs lie in one volume of about 60 voxels at 3 mm. Nothing here is
shared with the ultrasound anatomy except the mathematical shapes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from uscl_med3d.simulate.shapes import Vector, Waves, curve, ellipsoid, tube

Fields = list[tuple[str, np.ndarray]]  # painted in order where the field is positive

AMOS = (
    "spleen",
    "right_kidney",
    "left_kidney",
    "gallbladder",
    "liver",
    "stomach",
    "aorta",
    "postcava",
    "pancreas",
    "duodenum",
)
TOTALSEGMENTATOR = (
    "spleen",
    "kidney_right",
    "kidney_left",
    "liver",
    "stomach",
    "aorta",
    "inferior_vena_cava",
    "heart",
    "lung_right",
    "lung_left",
    "trachea",
    "esophagus",
    "vertebrae",
    "ribs_right",
    "ribs_left",
    "autochthon_right",
    "autochthon_left",
)


class Sketch:
    """Draws jittered shapes in body units on fixed points (3, n)."""

    def __init__(self, rng: np.random.Generator, points: np.ndarray) -> None:
        self.rng = rng
        warps = [Waves(rng, (0.9, 2.5), rng.uniform(0.02, 0.06), 3) for _ in range(3)]
        self.points = np.stack([axis + warp(points) for axis, warp in zip(points, warps, strict=True)])

    def blob(
        self, centre: Vector, radii: Vector, turn_deg: float, jitter: float, spread: float, bump: float
    ) -> np.ndarray:
        """An ellipsoid with random place, size, rotation and bumps."""
        rng = self.rng
        centre = np.asarray(centre) + rng.normal(0, jitter, 3)
        radii = np.asarray(radii) * np.exp(rng.normal(0, spread, 3))
        field = ellipsoid(self.points, centre, radii, rng.uniform(-turn_deg, turn_deg, 3))
        return field + Waves(rng, (0.25, 0.7), bump * float(np.min(radii)), 3)(self.points)

    def pipe(self, start: Vector, end: Vector, radius: float, bend: float) -> np.ndarray:
        """A bent tube of varying radius."""
        rng = self.rng
        path = curve(rng, start, end, bend, 5)
        return tube(self.points, path, radius * np.exp(rng.normal(0, 0.15) + rng.normal(0, 0.08, 5)))


def draw_wall(sketch: Sketch) -> tuple[Fields, np.ndarray]:
    """Skin fat and muscle around the trunk; also the distance to its inner lining."""
    x, y, _ = sketch.points
    rng = sketch.rng
    deep = rng.uniform(0.68, 0.84)
    radius = np.sqrt(x**2 + (y / deep) ** 2) * 1.0
    skin = 0.98 - radius
    fat, muscle = rng.uniform(0.03, 0.14), rng.uniform(0.05, 0.09)
    lining = skin - fat - muscle
    return [("fat", skin), ("muscle", skin - fat), ("visceral_fat", lining)], lining


def draw_back(sketch: Sketch) -> dict[str, np.ndarray]:
    """Vertebral column with discs, and the muscles beside it."""
    x, y, z = sketch.points
    rng = sketch.rng
    middle, back = rng.normal(0, 0.02), rng.uniform(0.44, 0.52)
    column = np.minimum(0.155 - np.hypot(x - middle, 0.95 * (y - back)), 0.3 - np.abs(x))
    arch = np.minimum(0.05 - np.abs(x - middle), 0.17 - np.abs(y - back - 0.16))
    bodies = np.maximum(column, arch)
    gaps = 0.1 * (np.cos(2 * np.pi * z / rng.uniform(0.26, 0.34)) + 0.82)
    parts = {"vertebrae": np.minimum(bodies, gaps), "disc": column}
    for name, side in (("autochthon_right", -1), ("autochthon_left", 1)):
        field = np.hypot((x - side * 0.2) / 0.16, (y - back - 0.12) / 0.15)
        parts[name] = 0.15 * (1 - field)
    return parts


def draw_abdomen(rng: np.random.Generator, points: np.ndarray) -> Fields:
    """An abdomen with the organs of `AMOS` among unlabelled bowel, spine and muscle."""
    sketch = Sketch(rng, points)
    wall, lining = draw_wall(sketch)
    back = draw_back(sketch)
    liver = np.maximum(
        sketch.blob((-0.42, -0.05, 0.36), (0.46, 0.48, 0.46), 12, 0.05, 0.12, 0.06),
        sketch.blob((-0.02, -0.32, 0.45), (0.38, 0.2, 0.27), 15, 0.05, 0.15, 0.08),
    )
    organs: Fields = [
        (
            "bowel",
            sketch.blob(
                rng.uniform((-0.6, -0.5, -1), (0.6, 0.1, 0.0)), (0.16, 0.14, 0.15), 40, 0.05, 0.3, 0.12
            ),
        )
        for _ in range(9)
    ]
    organs += [
        ("liver", liver),
        ("stomach", sketch.blob((0.32, -0.28, 0.38), (0.27, 0.22, 0.34), 30, 0.06, 0.2, 0.08)),
        ("spleen", sketch.blob((0.6, 0.2, 0.4), (0.2, 0.27, 0.32), 20, 0.04, 0.15, 0.06)),
        ("pancreas", sketch.pipe((-0.2, 0.0, 0.0), (0.4, 0.08, 0.22), 0.09, 0.06)),
        ("duodenum", sketch.pipe((-0.2, -0.12, 0.12), (-0.02, 0.08, -0.4), 0.085, 0.14)),
        ("right_kidney", sketch.blob((-0.42, 0.28, -0.22), (0.17, 0.18, 0.34), 15, 0.04, 0.12, 0.04)),
        ("left_kidney", sketch.blob((0.42, 0.28, -0.12), (0.17, 0.18, 0.34), 15, 0.04, 0.12, 0.04)),
        ("gallbladder", sketch.blob((-0.3, -0.38, -0.02), (0.12, 0.13, 0.2), 25, 0.05, 0.2, 0.05)),
    ]
    organs = [(name, np.minimum(field, lining)) for name, field in organs]
    organs += [
        ("aorta", sketch.pipe((0.07, 0.25, -1.2), (0.07, 0.26, 1.2), 0.085, 0.03)),
        ("postcava", sketch.pipe((-0.14, 0.22, -1.2), (-0.14, 0.2, 1.2), 0.095, 0.04)),
    ]
    spine = [("disc", back["disc"]), ("bone", back["vertebrae"])]
    return [*wall, ("muscle", back["autochthon_left"]), ("muscle", back["autochthon_right"]), *organs, *spine]


def draw_trunk(rng: np.random.Generator, points: np.ndarray) -> Fields:
    """Chest and upper abdomen with the classes of `TOTALSEGMENTATOR`."""
    sketch = Sketch(rng, points)
    wall, lining = draw_wall(sketch)
    back = draw_back(sketch)
    base = rng.uniform(-0.15, 0.1)  # height of the diaphragm
    lungs = [
        ("lung_right", sketch.blob((-0.42, 0.0, base + 0.5), (0.36, 0.52, 0.62), 6, 0.03, 0.08, 0.04)),
        ("lung_left", sketch.blob((0.42, 0.0, base + 0.5), (0.34, 0.52, 0.62), 6, 0.03, 0.08, 0.04)),
    ]
    organs: Fields = [
        ("liver", sketch.blob((-0.32, -0.02, base - 0.3), (0.5, 0.46, 0.4), 12, 0.04, 0.12, 0.06)),
        ("stomach", sketch.blob((0.35, -0.22, base - 0.3), (0.26, 0.22, 0.3), 30, 0.05, 0.2, 0.08)),
        ("spleen", sketch.blob((0.58, 0.22, base - 0.3), (0.2, 0.26, 0.28), 20, 0.04, 0.15, 0.06)),
        ("kidney_right", sketch.blob((-0.38, 0.3, base - 0.75), (0.16, 0.17, 0.3), 15, 0.04, 0.12, 0.04)),
        ("kidney_left", sketch.blob((0.4, 0.3, base - 0.68), (0.16, 0.17, 0.3), 15, 0.04, 0.12, 0.04)),
        ("heart", sketch.blob((0.12, -0.2, base + 0.3), (0.31, 0.27, 0.28), 25, 0.03, 0.12, 0.05)),
    ]
    organs = [(name, np.minimum(field, lining)) for name, field in [*lungs, *organs]]
    pipes: Fields = [
        ("aorta", sketch.pipe((0.1, 0.24, -1.2), (0.12, 0.22, 1.0), 0.09, 0.03)),
        ("inferior_vena_cava", sketch.pipe((-0.14, 0.2, -1.2), (-0.1, 0.0, base + 0.1), 0.095, 0.03)),
        ("esophagus", sketch.pipe((0.02, 0.16, base), (0.0, 0.18, 1.2), 0.07, 0.03)),
        ("trachea", sketch.pipe((0.0, 0.0, base + 0.55), (0.0, -0.05, 1.3), 0.085, 0.02)),
    ]
    ribs = draw_ribs(sketch, lining)
    spine: Fields = [("disc", back.pop("disc")), *back.items()]
    return [*wall, *organs, *pipes, *ribs, *spine]


def draw_ribs(sketch: Sketch, lining: np.ndarray) -> Fields:
    """Rings that fall towards the front, around the inner lining, open over the breast bone."""
    x, y, z = sketch.points
    rng = sketch.rng
    phase = 2 * np.pi * (z + rng.uniform(0.25, 0.45) * y + rng.uniform(0, 0.3)) / rng.uniform(0.26, 0.32)
    ring = np.minimum(0.05 - np.abs(lining - 0.0), 0.08 * (np.cos(phase) - 0.1))
    ring = np.minimum(ring, z + 0.7)
    return [("ribs_right", np.minimum(ring, -x - 0.12)), ("ribs_left", np.minimum(ring, x - 0.12))]


DRAWERS: dict[str, Callable[[np.random.Generator, np.ndarray], Fields]] = {
    "amos": draw_abdomen,
    "totalsegmentator": draw_trunk,
}
