"""Relative geometry of the bodies, pockets of fluid, and the implicit shapes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from uscl_med3d.core.seeds import rng
from uscl_med3d.simulate.abdomen import Flank
from uscl_med3d.simulate.cohort import draw_sweep, list_sweeps
from uscl_med3d.simulate.pockets import drop_films
from uscl_med3d.simulate.probe import coarsen, make_fan
from uscl_med3d.simulate.shapes import ellipsoid, rotation, tube

SIDES = ("abdomen_right", "abdomen_left")


@pytest.mark.parametrize("view", SIDES)
def test_kidney_lies_deeper_and_further_down_in_every_patient(view, phantom):
    build = phantom.cohort.build["abdomen"]
    for patient in range(30):
        body = Flank(rng(patient, "person"), rng(patient, "side"), view, patient % 2 == 0, build)
        upper, kidney = body.upper[0], body.kidney[0]
        assert kidney[0] > upper[0] + 25 and kidney[1] > upper[1] + 20


def test_a_patient_has_one_body_on_both_sides(phantom):
    build = phantom.cohort.build["abdomen"]
    right, left = (Flank(rng(1, "person"), rng(1, v), v, True, build) for v in SIDES)
    assert right.size == left.size and right.fluid_share == left.fluid_share
    assert right.body.fat_mm == left.body.fat_mm


def test_ascites_is_thick_and_as_large_as_an_organ(tiny):
    rows = [row for row in list_sweeps(tiny.cohort) if row["group"] == "abdomen"]
    for row in rows:
        sweep, _ = draw_sweep(row, tiny.cohort, tiny.classes, tiny.seed)
        fluid = np.pad(sweep.labels == tiny.classes["ascites"], 1)
        spacing = (sweep.frame_step_mm, sweep.fan.spacing_mm, sweep.fan.spacing_mm)
        # A ball of 9 mm instead of 12: the fan cuts pockets open, and the anatomy's grid is coarse.
        middle = distance_transform_edt(fluid, sampling=spacing) >= 4.5
        reached = distance_transform_edt(~middle, sampling=spacing) <= 4.5 + 4
        assert (fluid & reached).sum() > 0.97 * fluid.sum()
        kidney = sweep.labels == tiny.classes["kidney"]
        assert fluid.sum() > 0.25 * kidney.sum()


def test_films_are_dropped_and_pockets_kept(phantom):
    fan = make_fan(phantom.cohort.acquisition, phantom.cohort.physics, 50.0, 30.0, 150.0)
    grid = coarsen(fan, phantom.cohort.acquisition.anatomy_step_px)
    rows, columns = np.nonzero(fan.mask)
    film = (np.abs(rows - 80) * fan.spacing_mm < 2.5)[:, None].repeat(20, axis=1)
    pocket = np.hypot(rows - 140, columns - 144)[:, None] * fan.spacing_mm + 0 * np.arange(20) < 15
    dropped = drop_films(film | pocket, grid, 1.8, 12.0)
    assert dropped[film & ~pocket].all()
    assert dropped[pocket].mean() < 0.02
    assert not drop_films(np.zeros_like(film), grid, 1.8, 12.0).any()


@settings(max_examples=40, deadline=None)
@given(st.tuples(*[st.floats(4, 60)] * 3), st.tuples(*[st.floats(-90, 90)] * 3), st.integers(0, 10_000))
def test_ellipsoid_is_zero_on_its_surface_and_signed(radii, angles, seed):
    direction = np.random.default_rng(seed).normal(size=(3, 50))
    direction /= np.linalg.norm(direction, axis=0)
    surface = np.einsum("ij,jk->ik", rotation(angles), direction * np.array(radii)[:, None])
    centre = (5.0, -3.0, 2.0)

    def at(scale: float) -> np.ndarray:
        points = surface * scale + np.array(centre)[:, None]
        return ellipsoid(points.astype(np.float32), centre, radii, angles)

    assert np.abs(at(1.0)).max() < 0.02
    assert (at(0.8) > 0).all() and (at(1.2) < 0).all()


def test_tube_gives_the_distance_to_its_wall():
    path = np.array([[0, 0, 0], [10, 0, 0], [10, 10, 0]], float)
    points = np.array([[5, 0, 0], [5, 3, 0], [10, 5, 4], [-6, 0, 0]], np.float32).T
    assert tube(points, path, (2, 2, 2)) == pytest.approx([2, -1, -2, -4], abs=1e-5)
