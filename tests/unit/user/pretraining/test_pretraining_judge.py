"""What is said of the numbers is what they say."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from uscl_med3d.user.pretraining.judge import Measure, describe_measures, judge, read_measures


def watched(after: float) -> dict:
    return {
        "crops": 8,
        "before": {"feature_std": 0.4, "effective_rank": 3.0},
        "after": {"feature_std": after, "effective_rank": 2.0},
    }


def loss(before: float, after: float, guess: float, still: float | None = None) -> Measure:
    return Measure("loss", False, before, after, guess, still)


@pytest.mark.parametrize(
    ("measure", "word"),
    [
        (loss(0.5, 0.1, 0.2), "The task is learned"),
        (
            loss(0.1, 0.15, 0.2),
            "Nothing new",
        ),  # better than the guess, but the untrained model was better still
        (loss(0.151, 0.15, 0.2), "Nothing new"),
        (loss(0.21, 0.199, 0.2), "Hardly learned"),  # a difference that small is none
        (loss(0.5, 0.3, 0.2), "Hardly learned"),
        (loss(0.5, 0.6, 0.2), "NOT learned"),
        (loss(0.5, math.nan, 0.2), "NOT learned"),
        (Measure("accuracy", True, 0.3, 0.7, 0.5, None), "The task is learned"),
        (Measure("accuracy", True, 0.3, 0.5, 0.5, None), "Hardly learned"),
        (Measure("accuracy", True, 0.07, 0.13, 0.07, None), "NOT learned"),  # one view of sixteen
    ],
)
def test_verdict_of_the_task(measure, word):
    first, _, collapse = judge([measure], watched(0.39), 1)
    assert first.startswith(word) and collapse.startswith("No collapse")


def test_few_patients_are_said_to_be_few():
    assert "1 is too few" in judge([loss(0.5, 0.1, 0.2)], watched(0.4), 1)[0]
    assert "too few" not in judge([loss(0.5, 0.1, 0.2)], watched(0.4), 9)[0]


def test_collapse_is_called_one():
    assert judge([loss(0.5, 0.1, 0.2)], watched(0.19), 1)[-1].startswith("COLLAPSE")


def test_the_control_says_who_has_learned():
    assert "The adapter has learned" in judge([loss(0.5, 0.1, 0.2, still=0.15)], watched(0.4), 1)[1]
    for still in (0.105, 0.1, 0.05):
        assert "next to NOTHING" in judge([loss(0.5, 0.1, 0.2, still=still)], watched(0.4), 1)[1]
    assert "--control says" in judge([loss(0.5, 0.1, 0.2)], watched(0.4), 1)[1]
    assert "held still 0.150" in describe_measures([loss(0.5, 0.1, 0.2, still=0.15)])[0]


def test_nothing_measured():
    assert judge([], watched(0.4), 0)[0].startswith("Nothing was measured")


def test_measures_of_a_curve():
    curve = pd.DataFrame(
        {
            "step": [0, 5],
            "validation_loss": [0.9, 0.7],
            "validation_constant_loss": [0.8, 0.8],
            "validation_accuracy": [math.nan, math.nan],
            "validation_chance": [0.1, 0.1],
        }
    )
    assert read_measures(curve, None) == [loss(0.9, 0.7, 0.8)]
    assert read_measures(curve, curve.assign(validation_loss=0.75)) == [loss(0.9, 0.7, 0.8, 0.75)]
