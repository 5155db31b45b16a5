"""Strict parameters, and the figure for judging by eye."""

from __future__ import annotations

import copy

import pytest
from PIL import Image
from pydantic import ValidationError

from uscl_med3d.core.params.simulate import Simulate
from uscl_med3d.simulate.compare import compare_frames


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("cohort", "physics", "gain_db"), [40.0, 30.0]),
        (("cohort", "physics", "gain"), 3.0),
        (("cohort", "acquisition", "height_px"), 215),
        (("cohort", "ascites_share"), 1.5),
        (("general", "workers"), 0),
    ],
)
def test_wrong_values_are_refused(parameters, where, value):
    section = copy.deepcopy(parameters["simulate"])
    part = section
    for key in where[:-1]:
        part = part[key]
    part[where[-1]] = value
    with pytest.raises(ValidationError, match=where[-1]):
        Simulate.model_validate(section)


def test_figure_places_simulated_above_real(raw, tmp_path):
    videos = sorted((raw / "videos").glob("*.mp4"))[:3]
    compare_frames(videos, videos[:1], tmp_path / "both.png", columns=2, height_px=100)
    compare_frames(videos, [], tmp_path / "alone.png", columns=2, height_px=100)
    both, alone = Image.open(tmp_path / "both.png"), Image.open(tmp_path / "alone.png")
    assert alone.height == 200 and both.height == 306
    assert both.getpixel((5, 203)) == 255
