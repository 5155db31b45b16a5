"""One sweep: anatomy seen along a probe path, as grey frames and the true label map on the same grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation, binary_opening

from uscl_med3d.core.params.simulate import SimulateCohort
from uscl_med3d.simulate.anatomy import Anatomy, make_textures
from uscl_med3d.simulate.path import draw_path, place_points
from uscl_med3d.simulate.physics import compress, draw_settings, render
from uscl_med3d.simulate.probe import Fan, coarse_grid, make_fan


@dataclass(frozen=True)
class Sweep:
    """Frames (f, h, w) uint8, true labels (f, h, w) uint8 inside the fan, and the geometry."""

    frames: np.ndarray
    labels: np.ndarray
    fan: Fan
    frame_step_mm: float


def simulate_sweep(
    rng: np.random.Generator, anatomy: Anatomy, probe: str, cohort: SimulateCohort, classes: dict[str, int]
) -> Sweep:
    """Scan one body once. The furniture outside the fan is not drawn here."""
    acquisition = cohort.acquisition
    kind = acquisition.probes[probe]
    fan = make_fan(
        acquisition,
        cohort.physics,
        kind.radius_mm,
        rng.uniform(*kind.half_angle_deg),
        rng.uniform(*kind.depth_mm),
    )
    positions, rotations = draw_path(rng, acquisition)
    frame_step_mm = float(np.abs(np.diff(positions[:, 2])).mean())
    lateral, below, table = coarse_grid(fan, acquisition.anatomy_step_px)
    points = place_points(lateral, below, positions, rotations)
    frames = len(positions)
    tissue, label = paint(anatomy, points, table, frames, cohort, classes)
    polar = (len(fan.depths_mm), len(fan.angles_rad), frames)
    textures = tuple(
        np.take(table @ texture(points).reshape(-1, frames), fan.to_polar, axis=0).reshape(polar)
        for texture in make_textures(rng)
    )
    settings = draw_settings(rng, cohort.physics)
    level = render(
        rng, fan, np.take(tissue, fan.to_polar, axis=0).reshape(polar), textures, frame_step_mm, cohort.physics,
        cohort.tissues, settings,
    )  # fmt: skip
    grey = fan.to_pixels @ compress(level, settings).reshape(-1, frames)
    return Sweep(fill(fan, np.rint(grey).astype(np.uint8)), fill(fan, label), fan, frame_step_mm)


def fill(fan: Fan, values: np.ndarray) -> np.ndarray:
    """(fan pixels, f) to (f, h, w), zero outside the fan."""
    image = np.zeros((*fan.shape, values.shape[1]), values.dtype)
    image[fan.mask] = values
    return np.ascontiguousarray(image.transpose(2, 0, 1))


def paint(
    anatomy: Anatomy, points: np.ndarray, table, frames: int, cohort: SimulateCohort, classes: dict[str, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Tissue ids and labels, both (fan pixels, f) uint8."""
    names = list(cohort.tissues)
    shape = (table.shape[0], frames)
    tissue = np.full(shape, names.index(anatomy.background), np.uint8)
    label = np.zeros(shape, np.uint8)
    for layer in anatomy.layers(points):
        inside = table @ layer.field.reshape(-1, frames) > 0
        tissue[inside] = names.index(layer.tissue)
        if layer.target is not None:
            label[inside] = classes[layer.target] if layer.target else 0
    return tissue, label
