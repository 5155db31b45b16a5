"""Where the probe is put on, and what is hidden from it."""

from __future__ import annotations

import numpy as np
import pytest

from uscl_med3d.core.seeds import rng
from uscl_med3d.simulate.abdomen import Flank
from uscl_med3d.simulate.probe import make_fan
from uscl_med3d.simulate.sweep import find_hidden
from uscl_med3d.simulate.view import View, draw_view, find_targets, find_view


@pytest.mark.parametrize(
    ("heading", "along"), [(0, (1, 0, 0)), (90, (0, 0, -1)), (180, (-1, 0, 0)), (270, (0, 0, 1))]
)
def test_heading_turns_the_image_about_the_skins_normal(heading, along):
    positions, rotations = View(heading, (5.0, -3.0)).place(np.zeros((4, 3)), np.stack([np.eye(3)] * 4))
    assert positions == pytest.approx(np.tile([5.0, 0.0, -3.0], (4, 1)))
    assert rotations[2] @ [1, 0, 0] == pytest.approx(along, abs=1e-9)
    assert rotations[2] @ [0, 1, 0] == pytest.approx([0, 1, 0]), "depth stays depth"
    assert np.linalg.det(rotations[2]) == pytest.approx(1), "no mirror image: organs keep their handedness"


def test_lateral_distance_is_measured_along_the_probe():
    view = View(30.0, (5.0, -3.0))
    positions, rotations = view.place(np.zeros((1, 3)), np.eye(3)[None])
    point = positions[0] + rotations[0] @ [17.0, 40.0, 0.0]
    assert view.lateral(point[:, None]) == pytest.approx([17.0], abs=1e-4)


def test_the_operator_finds_a_view_that_shows_every_target(phantom):
    targets, cohort, shares = ("liver", "kidney", "ascites"), phantom.cohort, []
    for patient in range(12):
        stream = rng(patient, "view")
        body = Flank(
            rng(patient, "person"), rng(patient, "side"), "abdomen_right", True, cohort.build["abdomen"]
        )
        view = find_view(stream, body, cohort.views["abdomen"], cohort.search, targets, 30.0, 150.0, 105.0)
        assert body.body.view == view
        points = rng(patient).uniform((-60, 5, -50), (60, 140, 50), (4000, 3)).T.astype(np.float32)
        positions, rotations = view.place(np.zeros((1, 3)), np.eye(3)[None])
        seen = find_targets(body, (rotations[0] @ points + positions.T).astype(np.float32))
        shares.append([(seen == name).mean() for name in targets])
    assert np.min(shares) > 0.003 and np.mean(shares) > 0.05


def test_views_differ_as_the_parameters_say(phantom):
    views = phantom.cohort.views["abdomen"].model_copy(update={"headings_deg": (0, 90, 180, 270)})
    drawn = [draw_view(rng(number), views) for number in range(200)]
    headings = np.array([view.heading_deg for view in drawn]) % 360
    assert np.histogram(headings, 4, (0, 360))[0].min() > 25
    assert np.abs([view.place_mm for view in drawn]).max() <= views.offset_mm


def test_nothing_is_labelled_behind_gas(phantom):
    cohort, names = phantom.cohort, list(phantom.cohort.tissues)
    fan = make_fan(cohort.acquisition, cohort.physics, 50.0, 30.0, 150.0)
    tissue = np.full((*fan.polar_shape, 2), names.index("liver"), np.uint8)
    tissue[100:110, :, 1] = names.index("lung")
    hidden = find_hidden(tissue, fan, cohort)
    assert not hidden[:, 0].any()
    rows, columns = np.nonzero(fan.mask)
    depth = np.hypot(fan.lateral_mm[columns], fan.below_mm[rows] + fan.radius_mm) - fan.radius_mm
    edge = fan.depths_mm[100]
    assert hidden[depth > edge + 1, 1].all() and not hidden[depth < edge - 1, 1].any()
