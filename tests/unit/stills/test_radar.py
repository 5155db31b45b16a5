"""The radar figure of S5: what its lines are, from the landed tables; nothing is invented where a number is missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tiny_cohort import ROOT

from uscl_med3d.core.io import read_json, sha256
from uscl_med3d.report.style import styled
from uscl_med3d.stills.radar import AXES, CONTROL, NAME, OUR_ROW, build, draw, shares

FOLDER = ROOT / "results/phantom/samus"
S5, S2, SPEED = (FOLDER / f"{name}.csv" for name in ("s5", "s2", "s5_speed"))


@pytest.fixture
def costs():
    return pd.read_csv(S5).merge(pd.read_csv(SPEED), on="method").set_index("method")


def lines_of(costs, foundation):
    with styled():
        (axes,) = build(costs, foundation).axes
    return {line.get_label(): line.get_ydata() for line in axes.lines}


def test_less_is_better_where_it_costs():
    assert shares(pd.Series([1.0, 2.0, 4.0]), more=False).tolist() == [1.0, 0.5, 0.25]
    assert shares(pd.Series([1.0, 2.0, 4.0]), more=True).tolist() == [0.25, 0.5, 1.0]


def test_lines_are_the_numbers_of_the_tables(costs):
    foundation = pd.read_csv(S2)
    lines, places = lines_of(costs, foundation), {name: place for place, name in enumerate(AXES)}
    assert set(costs.index) < set(lines)
    ours = lines[OUR_ROW]
    assert len(ours) == len(AXES) + 1 and ours[0] == ours[-1]
    assert ours[places["gflop"]] == pytest.approx(costs["gflop"].min() / costs["gflop"][OUR_ROW])
    assert ours[places["seen_dice"]] == pytest.approx(costs["seen_dice"][OUR_ROW] / costs["seen_dice"].max())
    blind = foundation[(foundation["method"] == CONTROL) & (foundation["set"] == "all")]["seen_dice"].iloc[0]
    assert lines[CONTROL][0] == pytest.approx(blind / costs["seen_dice"].max())
    changed = costs.copy()
    changed.loc[OUR_ROW, "gflop"] *= 2
    assert lines_of(changed, foundation)[OUR_ROW][places["gflop"]] == pytest.approx(ours[places["gflop"]] / 2)


def test_a_method_that_was_not_trained_has_no_training_memory(costs):
    assert costs["training_mb"]["SAM"] == "–"
    place = list(AXES).index("training_mb")
    line = lines_of(costs, pd.read_csv(S2))["SAM"]
    assert np.isnan(line[place]) and not np.isnan(np.delete(line, place)).any()


def test_equal_tables_give_equal_files(tmp_path):
    for folder in ("a", "b"):
        draw(S5, S2, SPEED, tmp_path / folder)
    for suffix in ("png", "pdf"):
        assert len({(tmp_path / one / f"{NAME}.{suffix}").read_bytes() for one in "ab"}) == 1


def test_the_landed_figure_is_of_the_landed_tables():
    receipt = read_json(FOLDER / "receipts/radar.json")
    for files in (receipt["inputs"], receipt["outputs"]):
        assert len(files) >= 2
        for name, value in files.items():
            assert sha256(ROOT / name) == value, name
