"""Learning curves as the stages write them: those of the shipped base models."""

from __future__ import annotations

import shutil

import pytest

from uscl_med3d.core.params.foundation import BASE_MODELS
from uscl_med3d.core.shipped import list_files
from uscl_med3d.report.figures.inputs import FigureInputs
from uscl_med3d.report.figures.learning_curves import VALIDATION, build, group_curves


@pytest.fixture
def curves(tmp_path):
    (tmp_path / "foundation").mkdir()
    made = [tmp_path / "foundation" / f"{model}.csv" for model in BASE_MODELS]
    for path in made:
        shutil.copyfile(list_files(path.stem).curve, path)
    return made


def test_steps_go_on_from_stage_to_stage(run, curves):
    found = group_curves(run.job, curves)["base models"]
    assert any(frame["stage"].nunique() > 1 for frame in found.values())
    assert all(frame["step"].is_monotonic_increasing for frame in found.values())


def test_every_base_model_has_a_validation_measure_that_is_drawn(run, curves):
    figure = build(run.job, FigureInputs(curves=curves))
    top, bottom = figure.axes
    colours = {line.get_color() for line in top.get_lines()}
    assert len(colours) == len(BASE_MODELS)
    assert {line.get_color() for line in bottom.get_lines()} == colours
    for frame in group_curves(run.job, curves)["base models"].values():
        assert frame.iloc[-1][[name for name in VALIDATION if name in frame]].notna().any()
