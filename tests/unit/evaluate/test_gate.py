"""The gate passes, fails for each reason by name, and always writes its result."""

from __future__ import annotations

import pandas as pd
import pytest

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json
from uscl_med3d.core.scores import COLUMNS, IMAGE_USE, write_scores
from uscl_med3d.evaluate.gate import check_gate, mean_dice
from uscl_med3d.report.gate import read_blind

MAIN = "uscl_med3d_r32_both_vcl"
DOMAINS = ("amos", "totalsegmentator", "brats")
GOOD = {"sam_med3d": (30.0, 28.0), MAIN: (20.0, 22.0), "full_tuning": (36.0, 39.0)}
"""Run -> points owed to the image after the first and the last click."""


def write_image_use(folder, run, first, last):
    datasets = DOMAINS if run == "sam_med3d" else ("us",)
    rows = [
        (run, dataset, split, f"p{case}", f"c{case}", "liver", points, image, dice)
        for dataset in datasets
        for case in range(2)
        for points, owed in ((1, first), (10, last))
        for image, dice in (("own", 70.0), ("other", 70.0 - owed))
        for split in ("val",)
    ]
    # Test patients must not count: there the model owes nothing to the image.
    rows += [(run, "us", "test", "t", "t", "liver", 1, image, 50.0) for image in ("own", "other")]
    path = folder / "image_use" / f"{run}.parquet"
    path.parent.mkdir(exist_ok=True)
    write_scores(path, pd.DataFrame(rows, columns=IMAGE_USE.names), IMAGE_USE)
    return path


def write_dice(folder, run, dice):
    columns = ["dataset", "split", "reference", "class", "click", "dice"]
    rows = [
        ("us", "val", "true_mask", name, click, dice) for name in ("liver", "kidney") for click in (1, 10)
    ]
    rows += [("us", "test", "true_mask", "liver", 10, 0.0), ("us", "val", "pseudo_label", "liver", 10, 0.0)]
    path = folder / "scores" / f"{run}.parquet"
    path.parent.mkdir(exist_ok=True)
    write_scores(path, pd.DataFrame(rows, columns=columns).reindex(columns=list(COLUMNS)))
    return path


def run_gate(make_job, folder, owed, dice=None, **changes):
    changes.setdefault("gate__seeing__uscl_med3d__required", True)
    job = make_job("gate", **changes)
    image_use = [write_image_use(folder, run, *points) for run, points in owed.items()]
    scores = [write_dice(folder, run, value) for run, value in (dice or {}).items()]
    check_gate(job, image_use, scores, folder / "gate.json")
    return read_json(folder / "gate.json")


def test_passes(make_job, tmp_path):
    result = run_gate(make_job, tmp_path, GOOD, gate__required=True)
    assert result["passed"] and not result["failures"]
    assert result["image_use"]["sam_med3d"]["first_click"] == pytest.approx(30)
    assert set(result["image_use"]["sam_med3d"]["datasets"]) == set(DOMAINS)


@pytest.mark.parametrize("run", list(GOOD))
@pytest.mark.parametrize("click", [0, 1])
def test_a_model_that_ignores_the_image_stops_the_run_and_is_named(run, click, make_job, tmp_path):
    """The same Dice of 70 after every click, only that it stays with another patient's image."""
    points = tuple(0.0 if click == place else value for place, value in enumerate(GOOD[run]))
    method = "uscl_med3d" if run == MAIN else run
    with pytest.raises(InputError, match=f"{method} owes"):
        run_gate(make_job, tmp_path, GOOD | {run: points}, gate__required=True)
    result = read_json(tmp_path / "gate.json")
    assert result["passed"] is False and result["image_use"][run]["passed"] is False


@pytest.mark.parametrize(("missed", "stops"), [(5.9, False), (6.1, True)])
def test_within_the_slack_the_run_goes_on_and_the_method_is_marked(missed, stops, make_job, tmp_path):
    owed = GOOD | {MAIN: (18.0 - missed, 22.0)}
    if stops:
        with pytest.raises(InputError, match="uscl_med3d owes"):
            run_gate(make_job, tmp_path, owed, gate__required=True, gate__slack=6.0)
        result = read_json(tmp_path / "gate.json")
    else:
        result = run_gate(make_job, tmp_path, owed, gate__required=True, gate__slack=6.0)
    assert not result["passed"] and "uscl_med3d owes" in result["failures"][0]
    assert set(read_blind(tmp_path / "gate.json")) == {"uscl_med3d"}


def test_a_tuned_model_must_beat_what_looks_at_nothing(make_job, tmp_path):
    dice = {"full_tuning": 60.0, MAIN: 58.0, "ball": 50.0, "atlas": 59.0}
    assert set(make_job("gate").gate.blind) == {"ball", "atlas"}
    with pytest.raises(InputError, match=r"uscl_med3d reaches 58\.0 .* atlas 59\.0"):
        run_gate(make_job, tmp_path, GOOD, dice, gate__required=True)
    assert run_gate(make_job, tmp_path, GOOD, dice | {"atlas": 57.0}, gate__required=True)["passed"]


def test_goes_on_when_not_required(make_job, tmp_path):
    result = run_gate(make_job, tmp_path, GOOD | {"full_tuning": (0.0, 0.0)}, gate__required=False)
    assert result["passed"] is False and result["failures"]


def test_a_cohort_without_true_masks_goes_on(make_job, tmp_path):
    result = run_gate(make_job, tmp_path, {}, gate__required=True)
    assert not result["passed"] and not result["required"]


def test_dice_is_the_mean_over_classes_after_the_last_click():
    rows = [("us", "val", "true_mask", "liver", click, dice) for click, dice in ((1, 10.0), (10, 60.0))]
    rows += [("us", "val", "true_mask", "liver", 10, 80.0), ("us", "val", "true_mask", "spleen", 10, 40.0)]
    rows += [
        ("us", "val", "held_out_key_frames", "liver", 10, 0.0),
        ("amos", "val", "label", "liver", 10, 0.0),
    ]
    columns = ["dataset", "split", "reference", "class", "click", "dice"]
    assert mean_dice(pd.DataFrame(rows, columns=columns)) == pytest.approx((70 + 40) / 2)
