"""One sweep: anatomy seen along a probe path, as grey frames and the true label map on the same grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uscl_med3d.core.params.simulate import Group, ProbeName, SimulateCohort
from uscl_med3d.simulate.anatomy import Anatomy, make_textures
from uscl_med3d.simulate.path import draw_path, place_points
from uscl_med3d.simulate.physics import compress, draw_settings, render_echo
from uscl_med3d.simulate.pockets import drop_films
from uscl_med3d.simulate.probe import CoarseGrid, Fan, coarsen, make_fan
from uscl_med3d.simulate.view import find_view

STREAK_DEPTH_MM = (
    55  # streaks are finer than the anatomy's grid and belong to the wall, so only this much gets them
)


@dataclass(frozen=True)
class Sweep:
    """Frames (f, h, w) uint8, true labels (f, h, w) uint8 inside the fan, and the geometry."""

    frames: np.ndarray
    labels: np.ndarray
    fan: Fan
    frame_step_mm: float


def simulate_sweep(
    rng: np.random.Generator,
    anatomy: Anatomy,
    targets: tuple[str, ...],
    group: Group,
    probe: ProbeName,
    cohort: SimulateCohort,
    classes: dict[str, int],
) -> Sweep:
    """Scan one body once, so that `targets` (class names) are seen. The furniture outside the fan is not drawn here."""
    kind = cohort.acquisition.probes[probe]
    angle, depth = rng.uniform(*kind.half_angle_deg), rng.uniform(*kind.depth_mm)
    fan = make_fan(cohort.acquisition, cohort.physics, kind.radius_mm, angle, depth)
    path = draw_path(rng, cohort.acquisition)
    frames, length_mm = len(path[0]), float(np.abs(np.diff(path[0][:, 2])).sum())
    frame_step_mm = length_mm / (frames - 1)
    view = find_view(rng, anatomy, cohort.views[group], cohort.search, targets, angle, depth, length_mm)
    path = view.place(*path)
    grid = coarsen(fan, cohort.acquisition.anatomy_step_px)
    points = place_points(grid.lateral_mm, grid.below_mm, *path)
    tissue, label = paint(anatomy, points, grid, frames, cohort, classes)
    if "ascites" in classes:
        films = drop_films(label == classes["ascites"], grid, frame_step_mm, cohort.ascites_thickness_mm)
        label[films] = 0
        tissue[films] = list(cohort.tissues).index(anatomy.background)
    on_beams = np.take(tissue, fan.to_polar, axis=0).reshape(*fan.polar_shape, frames)
    label[find_hidden(on_beams, fan, cohort)] = 0
    textures = draw_textures(rng, fan, grid, points, path)
    settings = draw_settings(rng, cohort.physics)
    echo, gain_db = render_echo(
        rng, fan, on_beams, textures, frame_step_mm, cohort.physics, cohort.tissues, settings
    )
    grey = fan.to_pixels @ compress(echo, gain_db, settings).reshape(-1, frames)
    return Sweep(fill(fan, np.rint(grey).astype(np.uint8)), fill(fan, label), fan, frame_step_mm)


def find_hidden(on_beams: np.ndarray, fan: Fan, cohort: SimulateCohort) -> np.ndarray:
    """Pixels (fan pixels, f) behind gas, as a mask: nothing is seen there, so nobody would outline anything.

    `on_beams` are tissue ids (depth sample, beam, f). Behind bone one goes on between the shadows of two ribs.
    """
    names = list(cohort.tissues)
    gas = np.isin(np.arange(len(names)), [names.index(name) for name in cohort.physics.reverberation.gases])
    behind = np.logical_or.accumulate(gas[on_beams], axis=0)
    return np.take(behind.reshape(-1, on_beams.shape[2]), fan.nearest_sample, axis=0)


def draw_textures(
    rng: np.random.Generator,
    fan: Fan,
    grid: CoarseGrid,
    points: np.ndarray,
    path: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Lumps on the whole beam grid and streaks on its shallow part, (a, b, f)."""
    lumps, streaks = make_textures(rng)
    frames = len(path[0])
    everywhere = np.take(grid.to_fan @ lumps(points).reshape(-1, frames), fan.to_polar, axis=0)
    shallow = int(np.searchsorted(fan.depths_mm, STREAK_DEPTH_MM))
    reach = fan.radius_mm + fan.depths_mm[:shallow, None]
    lateral, below = reach * np.sin(fan.angles_rad), reach * np.cos(fan.angles_rad) - fan.radius_mm
    wall = streaks(place_points(lateral.ravel(), below.ravel(), *path))
    beams = fan.polar_shape[1]
    return everywhere.reshape(*fan.polar_shape, frames), wall.reshape(shallow, beams, frames)


def fill(fan: Fan, values: np.ndarray) -> np.ndarray:
    """(fan pixels, f) to (f, h, w), zero outside the fan."""
    image = np.zeros((*fan.shape, values.shape[1]), values.dtype)
    image[fan.mask] = values
    return np.ascontiguousarray(image.transpose(2, 0, 1))


def paint(
    anatomy: Anatomy,
    points: np.ndarray,
    grid: CoarseGrid,
    frames: int,
    cohort: SimulateCohort,
    classes: dict[str, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Tissue ids and labels, both (fan pixels, f) uint8."""
    names = list(cohort.tissues)
    shape = (grid.to_fan.shape[0], frames)
    tissue = np.full(shape, names.index(anatomy.background), np.uint8)
    label = np.zeros(shape, np.uint8)
    for layer in anatomy.layers(points):
        if layer.field.max() <= 0:
            continue
        inside = grid.to_fan @ layer.field.astype(np.float32).reshape(-1, frames) > 0
        np.putmask(tissue, inside, np.uint8(names.index(layer.tissue)))
        if layer.target is not None:
            np.putmask(label, inside, np.uint8(classes[layer.target] if layer.target else 0))
    return tissue, label
