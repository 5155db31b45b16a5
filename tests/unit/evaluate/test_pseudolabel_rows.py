"""Predictions beside the pseudo-labels: same masks, same frames, rows of their own, reasons where there are none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from uscl_med3d.core.scores import read_score_file
from uscl_med3d.evaluate.cases import NO_PSEUDO_LABEL, FrameMasks, Item, Sources, choose_distance
from uscl_med3d.evaluate.protocol import NoPrediction, Prediction, Setting
from uscl_med3d.evaluate.rows import (
    NO_COMPLETE_REFERENCE,
    PSEUDO_LABEL,
    SAME_FRAMES,
    explain_missing_prediction,
    score_prediction,
)
from uscl_med3d.evaluate.score import evaluate
from uscl_med3d.evaluate.whole import NO_KEY_FRAMES
from uscl_med3d.methods.base import Weights
from uscl_med3d.predict.crops import Region


def test_pseudo_labels_are_compared_on_validation_sweeps_in_rows_of_their_own(cohort, make_job, tmp_path):
    job = make_job("evaluate", "sam_med3d", methods__sam_med3d__datasets=["us"], evaluate__click_seeds=[0, 1])
    evaluate(
        job,
        Sources(cohort.volumes, cohort.splits, cohort.pseudolabels, cohort.general),
        Weights(cohort.base),
        scores_file=tmp_path / "scores.parquet",
        image_use_file=tmp_path / "image_use.parquet",
        predictions_dir=tmp_path / "predictions",
    )
    scores = read_score_file(tmp_path / "scores.parquet")
    rows = scores[scores["reference"].isin([PSEUDO_LABEL, SAME_FRAMES])]
    assert set(rows["case"]) == {"s_v1"} and set(rows["split"]) == {"val"}
    assert rows[["nsd", "hd95", "distance_unit"]].isna().all(axis=None)
    keys = ["case", "class", "click_seed", "click"]
    both = rows.pivot(index=keys, columns="reference", values="dice")
    # The tiny pseudo-labels are the truth, with two frames rejected.
    np.testing.assert_allclose(both[PSEUDO_LABEL], both[SAME_FRAMES])
    truth = scores[(scores["case"] == "s_v1") & (scores["reference"] == "true_mask")].set_index(keys)
    assert list(both.index) == list(truth.index)
    clicks = ["click_d", "click_h", "click_w"]
    pd.testing.assert_frame_equal(
        rows[rows["reference"] == SAME_FRAMES].set_index(keys)[clicks], truth[clicks]
    )


def make_validation_item(**changes):
    truth = np.zeros((6, 8, 8), bool)
    truth[:, 2:6, 2:6] = True
    wrong = np.zeros((3, 8, 8), bool)
    wrong[:, 2:6, 4:8] = True
    values = {
        "dataset": "us",
        "split": "val",
        "patient": "p",
        "case": "s",
        "name": "liver",
        "image": np.ones((6, 8, 8), np.uint8),
        "truth": truth,
        "known": None,
        "reference": "true_mask",
        "held_out": None,
        "distance": choose_distance((None, 1.0, 1.0), "voxel"),
        "pseudo_label": FrameMasks(np.array([0, 2, 5]), wrong),
    }
    return Item(**(values | changes))


def score_copy_of_pseudo_label(make_job, item):
    """Scores of a prediction that is the pseudo-label on frames 2 to 5, by reference."""
    mask = np.zeros((4, 8, 8), bool)
    mask[:, 2:6, 4:8] = True
    prediction = Prediction(item, 1, (1, 3, 3, 1), Region((2, 0, 0), mask), 1)
    rows = score_prediction(
        make_job("evaluate", "sam_med3d"), prediction, Setting("first_click", "random_error", 0)
    )
    return {row["reference"]: (row["dice"], row["reason"]) for row in rows}


def test_a_copy_of_the_pseudo_labels_errors_scores_higher_against_them(make_job):
    scores = score_copy_of_pseudo_label(make_job, make_validation_item())
    assert scores[PSEUDO_LABEL] == (
        pytest.approx(200 * 32 / (32 + 48)),
        "",
    )  # frame 0 lies outside the region
    assert scores[SAME_FRAMES] == (pytest.approx(200 * 16 / (32 + 48)), "")
    assert scores["true_mask"][0] == pytest.approx(200 * 32 / (64 + 96))


def test_without_accepted_frames_or_true_masks_the_reason_is_given(make_job):
    nothing = FrameMasks(np.empty(0, int), np.empty((0, 8, 8), bool))
    scores = score_copy_of_pseudo_label(make_job, make_validation_item(pseudo_label=nothing))
    for name in (PSEUDO_LABEL, SAME_FRAMES):
        assert np.isnan(scores[name][0]) and scores[name][1] == NO_PSEUDO_LABEL
    known = np.zeros((6, 8, 8), bool)
    known[2] = True
    scores = score_copy_of_pseudo_label(make_job, make_validation_item(known=known, reference=None))
    assert scores[PSEUDO_LABEL][0] == pytest.approx(80)
    assert np.isnan(scores[SAME_FRAMES][0]) and scores[SAME_FRAMES][1] == NO_COMPLETE_REFERENCE


def test_a_missing_prediction_has_a_row_for_every_reference(make_job):
    missing = NoPrediction(make_validation_item(), 0, NO_KEY_FRAMES)
    rows = explain_missing_prediction(
        make_job("evaluate", "nearest_key_frame"), missing, Setting("whole", "none", 0)
    )
    assert [row["reference"] for row in rows] == ["true_mask", PSEUDO_LABEL, SAME_FRAMES]
    assert all(np.isnan(row["dice"]) and row["reason"] == NO_KEY_FRAMES and row["click"] == 0 for row in rows)
