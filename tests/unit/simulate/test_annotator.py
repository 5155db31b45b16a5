"""Choice of key frames and the drawn contours."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

from uscl_med3d.core.seeds import rng
from uscl_med3d.simulate.annotator import choose_key_frames, draw_contours


def disc(radius: float) -> np.ndarray:
    rows, columns = np.indices((160, 200))
    truth = np.zeros((160, 200), np.uint8)
    truth[np.hypot(rows - 80, columns - 100) < radius] = 3
    return truth


def test_key_frames_cover_every_class_and_spread(phantom):
    areas = np.zeros((2, 60))
    areas[0, 5:55] = 400
    areas[1, 40:50] = 90
    frames = choose_key_frames(areas, phantom.cohort.annotator)
    assert len(frames) == phantom.cohort.annotator.key_frames == len(set(frames))
    assert frames == sorted(frames) and all(5 <= frame < 55 for frame in frames)
    assert sum(40 <= frame < 50 for frame in frames) >= 2
    assert frames[-1] - frames[0] > 30


def test_key_frames_of_a_short_target(phantom):
    areas = np.zeros((1, 60))
    areas[0, 20:23] = 50
    assert choose_key_frames(areas, phantom.cohort.annotator) == [20, 21, 22]


def test_no_error_draws_the_truth(phantom):
    exact = phantom.cohort.annotator.model_copy(update={"contour_error_mm": 0.0})
    truth = disc(40)
    assert (draw_contours(rng(1), truth, np.ones_like(truth, bool), 0.8, exact) == truth).all()


def test_contour_error_has_the_stated_size(phantom):
    truth, annotator = disc(50), phantom.cohort.annotator
    inside = distance_transform_edt(truth) - distance_transform_edt(truth == 0)
    errors = []
    for seed in range(20):
        drawn = draw_contours(rng(seed), truth, np.ones_like(truth, bool), 0.8, annotator) > 0
        edge = drawn & (distance_transform_edt(drawn) <= 1)
        errors.append(0.8 * (inside[edge] - 1))
    spread = np.concatenate(errors).std()
    assert 0.6 * annotator.contour_error_mm < spread < 1.5 * annotator.contour_error_mm


def test_nothing_is_drawn_outside_the_fan_and_spots_are_left_out(phantom):
    truth = disc(40)
    truth[5:8, 5:8] = 4
    fan = np.indices(truth.shape)[1] < 110
    drawn = draw_contours(rng(2), truth, fan, 0.8, phantom.cohort.annotator)
    assert not drawn[~fan].any() and 4 not in drawn
