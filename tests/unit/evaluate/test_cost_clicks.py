"""Clicks of the cost measurement on targets of every size."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from uscl_med3d.clicks.crops import centre_crop_on, contains
from uscl_med3d.evaluate.cost import Subject, _ball, make_clicks

SIDE = 16


def draw(target: np.ndarray) -> list[tuple[int, int, int, int]]:
    job = SimpleNamespace(seed=1, evaluate=SimpleNamespace(clicks=10), model=SimpleNamespace(image_size=SIDE))
    return make_clicks(Subject("case", "name", np.zeros(target.shape, np.uint8), target, None), job)


def box(shape: tuple[int, int, int], *sides: slice) -> np.ndarray:
    target = np.zeros(shape, bool)
    target[sides] = True
    return target


TARGETS = {
    "larger than the crop": box((40, 50, 60), slice(1, 39), slice(2, 48), slice(3, 57)),
    "the whole volume": np.ones((40, 20, 17), bool),
    "one voxel": box((40, 50, 60), slice(7, 8), slice(9, 10), slice(11, 12)),
    "at a corner": box((40, 50, 60), slice(38, 40), slice(48, 50), slice(58, 60)),
    "thinner than the crop": box((3, 50, 60), slice(0, 3), slice(0, 50), slice(0, 60)),
}


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_every_click_lies_on_the_target_and_in_the_crop(name):
    target = TARGETS[name]
    clicks = draw(target)
    origin = centre_crop_on(clicks[0][:3], target.shape, SIDE)
    assert len(clicks) == 10 and all(target[click[:3]] and click[3] == 1 for click in clicks)
    assert all(contains(origin, SIDE, click[:3]) for click in clicks)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 40, 40), (2, 40, 41), (40, 40, 40)])
def test_the_stand_in_target_is_never_empty(shape):
    assert _ball(shape).any()


def test_a_failed_measurement_is_written_with_its_reason(tmp_path, monkeypatch, capsys):
    """The report needs a file of every run, not a success of every run."""
    import json

    from uscl_med3d.core.errors import InputError
    from uscl_med3d.evaluate import cost

    job = SimpleNamespace(run=SimpleNamespace(id="r", method="m"))

    def fail(*_):
        raise ValueError("a point lies outside the volume")

    monkeypatch.setattr(cost, "_measure", fail)
    cost.measure_cost(job, tmp_path, tmp_path, None, tmp_path / "c.json")
    found = json.loads((tmp_path / "c.json").read_text())
    assert found == {"run": "r", "method": "m", "failed": "ValueError: a point lies outside the volume"}
    assert "was not measured" in capsys.readouterr().err

    def refuse(*_):
        raise InputError(file="x", found="nothing", expected="weights", remedy="make them")

    monkeypatch.setattr(cost, "_measure", refuse)
    with pytest.raises(InputError):
        cost.measure_cost(job, tmp_path, tmp_path, None, tmp_path / "d.json")
    assert not (tmp_path / "d.json").exists()
