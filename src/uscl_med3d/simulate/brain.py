"""Heads with a tumour (BraTS-like); one magnetic-resonance contrast per file.

Coordinates as in `torso`, in units of the head's half length. Labels as in BraTS 2023: necrotic core, oedema,
enhancing tumour; the whole tumour is their union.
"""

from __future__ import annotations

import numpy as np

from uscl_med3d.simulate.shapes import Waves
from uscl_med3d.simulate.torso import Fields, Sketch

BRATS = ("necrotic_core", "edema", "enhancing_tumor")


def draw_head(rng: np.random.Generator, points: np.ndarray) -> Fields:
    """Skin, skull, folded cortex, white matter, ventricles, deep nuclei and a tumour with three parts."""
    sketch = Sketch(rng, points)
    x, y, z = sketch.points
    shape = np.array([0.74, 0.92, 0.8]) * np.exp(rng.normal(0, 0.05, 3))
    head = 1 - np.sqrt((x / shape[0]) ** 2 + (y / shape[1]) ** 2 + (z / shape[2]) ** 2)
    folds = Waves(rng, (0.16, 0.3), 0.035, 8)(sketch.points)
    cleft = 0.015 + 0.01 * np.abs(folds) - np.abs(x)
    brain = head - 0.16
    layers: Fields = [
        ("skin", head),
        ("skull", head - 0.05),
        ("csf", head - 0.12),
        ("grey_matter", np.minimum(brain + 0.5 * folds, -cleft)),
        ("white_matter", brain - 0.09 + folds),
    ]
    for side in (-1, 1):
        layers.append(
            ("grey_matter", sketch.blob((side * 0.2, 0.02, -0.02), (0.1, 0.17, 0.1), 10, 0.01, 0.1, 0.05))
        )
        layers.append(
            ("csf", sketch.blob((side * 0.1, 0.02, 0.12), (0.06, 0.32, 0.09), 12, 0.01, 0.25, 0.05))
        )
    return layers + draw_tumour(sketch, brain)


def draw_tumour(sketch: Sketch, brain: np.ndarray) -> Fields:
    """Oedema with irregular fingers, an enhancing rim, and a core of one to three cavities."""
    rng = sketch.rng
    side = rng.choice([-1, 1])
    centre = np.array([side * rng.uniform(0.2, 0.38), rng.uniform(-0.45, 0.45), rng.uniform(-0.1, 0.35)])
    size = rng.uniform(0.16, 0.32)
    mass = sketch.blob(centre, np.full(3, size), 90, 0.0, 0.15, 0.1)
    fingers = Waves(rng, (0.15, 0.5), rng.uniform(0.03, 0.07), 6)(sketch.points)
    edema = mass + rng.uniform(0.06, 0.16) + fingers
    rim = rng.uniform(0.035, 0.08)
    core = mass - rim + 0.4 * fingers
    inside = brain - 0.02
    return [
        ("edema", np.minimum(edema, inside)),
        ("enhancing_tumor", np.minimum(mass, inside)),
        ("necrotic_core", np.minimum(core, inside - 0.02)),
    ]
