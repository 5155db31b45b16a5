"""Measures beyond Dice against values worked out by hand, and Table 7 made of them."""

from __future__ import annotations

import math

import fake_run
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uscl_med3d.core.reporting import BLIND
from uscl_med3d.report.measures import list_units, measure_cases, name_noc, name_reached
from uscl_med3d.report.scores import read_scores
from uscl_med3d.report.tables import build_table, build_tables
from uscl_med3d.report.tables.captions import write_caption
from uscl_med3d.report.tables.context import Context
from uscl_med3d.report.tables.layout import MARK, arrange
from uscl_med3d.report.tables.table7 import EMPTY, NO_CLICKS, list_measures


def rows_of(curve, case="a", seed=0, nsd=math.nan, hd95=math.nan, unit="voxel", first=1) -> pd.DataFrame:
    """Score rows of one case: one Dice per click; surface measures at the last."""
    clicks = range(first, first + len(curve))
    frame = pd.DataFrame({"click": list(clicks), "dice": list(curve)}).assign(
        training_seed=0,
        patient=case,
        case=case,
        click_seed=seed,
        nsd=math.nan,
        hd95=math.nan,
        distance_unit="",
    )
    frame["class"] = "liver"
    frame.loc[len(frame) - 1, ["nsd", "hd95", "distance_unit"]] = [nsd, hd95, unit]
    return frame


def values(rows: pd.DataFrame, last: int = 4) -> dict[str, float]:
    made = measure_cases(rows, last, (80.0, 90.0), 50.0)
    return made.set_index("measure")["value"].to_dict()


def test_a_curve_by_hand():
    made = values(rows_of([40, 80, 70, 85], nsd=66.0, hd95=3.5))
    assert made == {
        "dice": 85.0,
        "area": 68.75,
        "noc_80": 2.0,
        "reached_80": 100.0,
        "noc_90": 5.0,
        "reached_90": 0.0,
        "failures": 0.0,
        "nsd_voxel": 66.0,
        "hd95_voxel": 3.5,
    }


def test_a_case_that_never_reaches_counts_one_click_more_than_it_was_given():
    made = values(rows_of([10, 20, 30, 49.9]))
    assert (made["noc_80"], made["reached_80"], made["failures"]) == (5.0, 0.0, 100.0)


def test_click_seeds_are_averaged_within_the_case():
    both = pd.concat([rows_of([80, 80, 80, 80], seed=0), rows_of([10, 10, 10, 90], seed=1)])
    made = values(both)
    assert (made["dice"], made["noc_80"], made["failures"]) == (85.0, 2.5, 0.0)


def test_without_a_prediction_there_is_no_distance():
    made = values(rows_of([0, 0, 0, 0], nsd=0.0))
    assert made["nsd_voxel"] == 0.0 and "hd95_voxel" not in made


def test_a_method_without_clicks_has_no_curve():
    made = values(rows_of([70], nsd=50.0, hd95=4.0, unit="mm", first=0), last=0)
    assert set(made) == {"dice", "failures", "nsd_mm", "hd95_mm"}


def test_a_click_without_a_score_leaves_the_others():
    rows = rows_of([math.nan, 80, 90, 70])
    assert values(rows)["area"] == 80.0
    assert values(rows_of([math.nan] * 4)) == {}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 100), min_size=4, max_size=4), st.floats(1, 99), st.floats(1, 99))
def test_a_harder_target_never_takes_fewer_clicks(curve, one, other):
    low, high = sorted((one, other))
    made = measure_cases(rows_of(curve), 4, tuple({low, high}), 50.0).set_index("measure")["value"]
    assert made[name_noc(low)] <= made[name_noc(high)]
    assert made[name_reached(low)] >= made[name_reached(high)]
    assert (made[name_reached(high)] == 0) == (made[name_noc(high)] == 5)
    assert min(curve) - 1e-9 <= made["area"] <= max(curve) + 1e-9


@pytest.fixture(scope="module")
def context(run):
    """The run with surface measures at the last click; one case without a prediction, in voxels."""
    scores = read_scores(run.scores)
    last = (scores["dataset"] == "us") & scores["click"].isin([0, 10]) & (scores["reference"] == "true_mask")
    scores.loc[last, "nsd"] = scores.loc[last, "dice"] / 2
    scores.loc[last, "hd95"] = 30 - scores.loc[last, "dice"] / 5
    empty = last & (scores["run"] == "sam_med3d") & (scores["case"] == "c00_chest")
    scores.loc[empty, ["dice", "nsd", "hd95"]] = [0.0, 0.0, math.nan]
    return Context.of(run.job, scores)


@pytest.fixture(scope="module")
def table(context) -> pd.DataFrame:
    return build_table("table7", context).set_index(["method", "measure"])


def test_dice_is_the_number_of_the_other_tables(context, table):
    other = build_table("table4", context)
    other = other[(other["method"] == "full_tuning") & (other["dataset"] == "3dus")].iloc[0]
    mine = table.loc[("full tuning", "dice")]
    assert mine[["value", "ci_low", "ci_high"]].tolist() == other[["dice", "ci_low", "ci_high"]].tolist()


def test_failures_are_the_share_of_cases_by_class(context, table):
    rows = context.scores[
        (context.scores["run"] == "sam_med3d")
        & (context.scores["dataset"] == "us")
        & (context.scores["click"] == 10)
        & (context.scores["reference"] == "true_mask")
    ]
    share = 100 * (rows["dice"] < context.job.report.failure_dice).groupby(rows["class"]).mean()
    assert table.loc[("SAM-Med3D", "failures"), "value"] == pytest.approx(share.mean())


def test_an_empty_prediction_is_said_beside_hd95(table):
    nsd, hd95 = table.loc[("SAM-Med3D", "nsd_voxel")], table.loc[("SAM-Med3D", "hd95_voxel")]
    assert hd95["reason"] == EMPTY and hd95["n_cases"] == nsd["n_cases"] - 1
    assert (
        pd.isna(table.loc[("full tuning", "hd95_voxel"), "reason"])
        or not table.loc[("full tuning", "hd95_voxel"), "reason"]
    )


def test_every_method_has_every_measure_or_a_reason(context, table):
    labels = {
        entry.label
        for entry in context.job.methods.values()
        if entry.weights_of is None and "us" in entry.datasets
    }
    assert set(table.index) == {(label, name) for label in labels for name in list_measures(context)}
    assert (table["value"].notna() | (table["reason"] != "")).all()
    assert table.loc[("nearest key frame", "noc_80"), "reason"] == NO_CLICKS
    assert table.loc[("nearest key frame", "dice"), "value"] > 0


def test_each_unit_of_distance_has_its_own_columns(context):
    scores = context.scores.copy()
    scores.loc[scores["patient"].str.startswith("c"), "distance_unit"] = "mm"
    mixed = Context(context.job, scores)
    assert list_units(scores[scores["dataset"] == "us"]) == ["mm", "voxel"]
    assert list_measures(mixed)[-4:] == ["nsd_mm", "hd95_mm", "nsd_voxel", "hd95_voxel"]
    made = build_table("table7", mixed).set_index(["method", "measure"])
    assert "mean without" in made.loc[("SAM-Med3D", "nsd_mm"), "reason"]


def test_the_header_is_in_words_and_the_caption_states_the_rules(run, tmp_path):
    build_tables(run.job, run.scores, tmp_path)
    table = pd.read_csv(tmp_path / "table7.csv")
    header = arrange(table, ("method",), ("measure",), "value").header
    assert header[:5] == ("Method", "Dice", "area under the curve", "NoC@80", "reach 80, %")
    text = (tmp_path / "table7.md").read_text()
    for words in (
        "never does counts 11",
        "Dice below 50",
        "over the clicks 1, 3, 5, 10",
        "HD95: smaller is better",
    ):
        assert words in text


def test_the_mark_of_rows_that_look_at_nothing_knows_that_less_may_be_better(context, table):
    rows, marked = table.reset_index(), 0
    floors = rows[rows["method"].isin(BLIND)].groupby("measure")["value"].agg(["min", "max"])
    for row in rows[~rows["method"].isin(BLIND) & rows["value"].notna()].itertuples():
        less = row.measure.startswith(("noc_", "failures", "hd95_"))
        low, high = floors.loc[row.measure]
        worse = row.value > low if less else row.value < high
        assert bool(row.below) == worse, row
        marked += worse
    assert marked


def test_the_caption_says_what_the_mark_is(context, table):
    text = write_caption("table7", table.reset_index(), context)
    assert f"{MARK} worse than a row that looks at no image" in text


def test_on_key_frames_alone_there_are_no_surface_distances(run):
    scores = read_scores(run.scores)
    frames = Context.of(run.job, scores[scores["reference"] != "true_mask"])
    made = build_table("table7", frames).set_index(["method", "measure"])
    assert "complete reference masks" in made.loc[("SAM-Med3D", "hd95_voxel"), "reason"]
    assert made.loc[("SAM-Med3D", "noc_80"), "value"] > 0


def test_no_scores_give_a_table_of_reasons(tmp_path):
    job = fake_run.make_job(tmp_path)
    build_tables(job, [], tmp_path)
    table = pd.read_csv(tmp_path / "table7.csv")
    assert table["value"].isna().all() and table["reason"].notna().all()
