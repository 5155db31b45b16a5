"""Speckle statistics, shadow, enhancement and the image geometry."""

from __future__ import annotations

import numpy as np
import pytest

from uscl_med3d.core.seeds import rng
from uscl_med3d.simulate.physics import compress, draw_settings, reflect, render_echo
from uscl_med3d.simulate.probe import make_fan
from uscl_med3d.simulate.speckle import filter_axis, kernel, make_speckle

FRAMES = 8


@pytest.fixture(scope="module")
def fan(phantom):
    return make_fan(phantom.cohort.acquisition, phantom.cohort.physics, 50.0, 30.0, 150.0)


@pytest.fixture(scope="module")
def level_db(phantom, fan):
    """Liver with a fluid pocket (beams 20-45), plain liver (around 64) and a bone (beams 90-110), in dB."""
    names = list(phantom.cohort.tissues)
    tissue = np.full((*fan.polar_shape, FRAMES), names.index("liver"), np.uint8)
    tissue[70:120, 20:45] = names.index("fluid")
    tissue[60:66, 90:110] = names.index("bone")
    flat = np.zeros(tissue.shape, np.float32)
    stream = rng(3)
    settings = draw_settings(stream, phantom.cohort.physics.model_copy(update={"contact_db": (0.0, 0.0)}))
    echo, gain_db = render_echo(
        stream, fan, tissue, (flat, flat[:40]), 1.75, phantom.cohort.physics, phantom.cohort.tissues, settings
    )
    return 20 * np.log10(np.abs(echo)) + gain_db


def power_db(values: np.ndarray) -> float:
    return float(10 * np.log10((10 ** (values / 10)).mean()))


def test_homogeneous_tissue_has_rayleigh_speckle():
    amplitude, none = np.ones((160, 80, 40), np.float32), np.zeros((1, 1, 1), np.float32)
    echo = make_speckle(rng(1), amplitude, none, (0.8, 1.1, 1.0))
    envelope = np.abs(echo)[8:-8, 8:-8, 8:-8]
    assert envelope.mean() / envelope.std() == pytest.approx(1.91, abs=0.04)
    assert (20 * np.log10(envelope)).std() == pytest.approx(5.57, abs=0.12)
    assert (envelope**2).mean() == pytest.approx(1, abs=0.05), "filtering keeps the mean power"


def test_rendered_liver_keeps_speckle_statistics_before_compression(level_db):
    envelope = 10 ** (level_db[60:66, 52:80] / 20)
    assert envelope.mean() / envelope.std() == pytest.approx(1.91, abs=0.25)


def test_speckle_is_wider_across_than_along_the_beam(phantom, fan):
    physics = phantom.cohort.physics
    spacing_mm = (fan.radius_mm + 100) * (fan.angles_rad[1] - fan.angles_rad[0])
    assert physics.lateral_sd_beams * spacing_mm > 1.5 * physics.axial_sd_mm


def test_bone_casts_a_shadow(level_db):
    assert power_db(level_db[90:200, 95:105]) < power_db(level_db[90:200, 58:75]) - 15


def test_fluid_is_anechoic_and_enhances_what_lies_behind(level_db):
    plain = power_db(level_db[80:110, 58:75])
    assert power_db(level_db[80:110, 27:38]) < plain - 20
    assert power_db(level_db[130:200, 27:38]) > power_db(level_db[130:200, 58:75]) + 4


def test_interfaces_reflect_most_at_normal_incidence(fan):
    flat = np.full((*fan.polar_shape, 1), 1.6, np.float32)
    flat[100:] = 1.4
    rows, beams = np.indices(fan.polar_shape)
    steep = np.where(rows - 100 > (beams - 64) * 6, 1.4, 1.6).astype(np.float32)[:, :, None]
    assert reflect(flat, fan, 3.0)[95:105].max() > 5 * np.median(reflect(steep, fan, 3.0)[100, 60:70].max())


def test_grey_values_span_the_dynamic_range(phantom):
    settings = draw_settings(rng(2), phantom.cohort.physics)
    echo = np.array([1e-9, 1.0, 1e9], np.complex64).reshape(3, 1, 1)
    grey = compress(echo, np.zeros((3, 1, 1), np.float32), settings)
    middle = settings.gain_db / settings.dynamic_range_db * 255
    assert grey.ravel() == pytest.approx([0, middle, 255], abs=0.1)


def test_filter_matches_convolution():
    values = rng(4).standard_normal((9, 5)).astype(np.float32)
    weights = kernel(1.0)
    expected = np.stack([np.convolve(values[:, i], weights, mode="same") for i in range(5)], axis=1)
    assert filter_axis(values, weights, 0) == pytest.approx(expected, abs=1e-5)


def test_scan_conversion_puts_beams_where_they_belong(fan):
    angle = np.broadcast_to(fan.angles_rad, fan.polar_shape).ravel()
    depth = np.broadcast_to(fan.depths_mm[:, None], fan.polar_shape).ravel()
    rows, columns = np.nonzero(fan.mask)
    x, y = fan.lateral_mm[columns], fan.below_mm[rows] + fan.radius_mm
    assert np.abs(fan.to_pixels @ angle - np.arctan2(x, y)).max() < 1e-3
    assert np.abs(fan.to_pixels @ depth - (np.hypot(x, y) - fan.radius_mm)).max() < 1e-2
    # and back: the pixel nearest to a beam sample is near (at the fan's edge, the nearest one inside)
    reach = fan.radius_mm + depth
    off = np.hypot(x[fan.to_polar] - reach * np.sin(angle), y[fan.to_polar] - reach * np.cos(angle))
    assert off.max() < 2 * fan.spacing_mm
