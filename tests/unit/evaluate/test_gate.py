"""The gate passes, fails for each reason, and always writes its result."""

from __future__ import annotations

import pandas as pd
import pytest

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json
from uscl_med3d.core.scores import COLUMNS, write_scores
from uscl_med3d.evaluate.gate import check_gate


def scores(folder, last: dict[str, float], first: float = 50.0):
    rows = []
    for name, value in last.items():
        for case in range(2):
            for click in range(1, 11):
                dice = value if click == 10 else first
                rows.append(
                    ("us", "val", "true_mask", "first_click", "random_error", f"c{case}", name, click, dice)
                )
        rows.append(("us", "test", "true_mask", "first_click", "random_error", "c9", name, 10, 0.0))
        rows.append(("us", "val", "held_out_key_frames", "first_click", "random_error", "c0", name, 10, 0.0))
    columns = ["dataset", "split", "reference", "crop", "click_simulator", "case", "class", "click", "dice"]
    path = folder / "scores.parquet"
    write_scores(path, pd.DataFrame(rows, columns=columns).reindex(columns=list(COLUMNS)))
    return path


GOOD = {"pleural_effusion": 70.0, "ascites": 45.0, "liver": 70.0, "spleen": 70.0, "kidney": 60.0}


def run(make_job, folder, last, first=50.0, **changes):
    job = make_job("gate", evaluate__clicks=10, **changes)
    check_gate(job, scores(folder, last, first), folder / "gate.json")
    return read_json(folder / "gate.json")


def test_passes(make_job, tmp_path):
    result = run(make_job, tmp_path, GOOD, gate__required=True)
    assert (
        result["passed"]
        and result["mean_dice"] == pytest.approx(63.0)
        and result["gain"] == pytest.approx(13.0)
    )


@pytest.mark.parametrize(
    ("last", "first", "why"),
    [
        (GOOD | {"ascites": 39.0, "liver": 80.0}, 50.0, "ascites 39.0"),
        (GOOD | {"liver": 50.0}, 50.0, "class mean 59.0"),
        (GOOD, 61.0, "gain by clicking 2.0"),
        (
            {name: value for name, value in GOOD.items() if name != "kidney"},
            50.0,
            "no validation score of kidney",
        ),
    ],
)
def test_fails_clearly_when_required(last, first, why, make_job, tmp_path):
    with pytest.raises(InputError, match=why):
        run(make_job, tmp_path, last, first, gate__required=True)
    assert read_json(tmp_path / "gate.json")["passed"] is False


def test_goes_on_when_not_required(make_job, tmp_path):
    assert run(make_job, tmp_path, GOOD | {"ascites": 1.0}, gate__required=False)["passed"] is False


def test_a_cohort_without_true_masks_goes_on(make_job, tmp_path):
    result = run(make_job, tmp_path, {}, gate__required=True)
    assert not result["passed"] and not result["required"]
    assert len(result["failures"]) == 5 and "true mask" in result["failures"][0]
