from __future__ import annotations

import numpy as np
import pytest

from uscl_med3d.core.params.pseudolabel import Gate
from uscl_med3d.pseudolabel.gate import (
    HUMAN,
    explain_rejection,
    judge_frames,
    judge_sweep,
    measure_confidence,
    measure_consistency,
)

GATE = Gate(min_confidence=0.6, min_consistency=0.5, max_frames_outside=1, min_accepted_fraction=0.5)


def test_confidence_is_the_mean_margin_over_predicted_and_expected_pixels() -> None:
    score = np.array([[1.0, 0.9, 0.5, 0.0]])
    predicted = np.array([[True, True, False, False]])
    expected = np.array([[False, True, True, False]])
    assert measure_confidence(score, predicted, expected) == pytest.approx((1.0 + 0.8 + 0.0) / 3)
    nothing = np.zeros((1, 4), dtype=bool)
    assert measure_confidence(score, nothing, nothing) == 1.0


def test_consistency_is_the_mean_dice_with_both_neighbours() -> None:
    masks = np.zeros((4, 1, 4), dtype=bool)
    masks[0, 0, :2] = True  # frames 0 and 1: Dice 2*1/(2+1)
    masks[1, 0, :1] = True  # frames 1 and 2: nothing in common
    masks[2, 0, 3] = True  # frames 2 and 3: equal
    masks[3, 0, 3] = True
    np.testing.assert_allclose(measure_consistency(masks), [2 / 3, 1 / 3, 0.5, 1.0])
    assert measure_consistency(np.zeros((3, 2, 2))).tolist() == [1.0, 1.0, 1.0]
    assert measure_consistency(np.ones((1, 2, 2))).tolist() == [1.0]


@pytest.mark.parametrize(
    ("confidence", "consistency", "outside", "reason"),
    [
        (0.6, 0.5, 1, ""),
        (0.59, 0.5, 1, "confidence"),
        (0.6, 0.49, 1, "consistency"),
        (None, 0.9, 0, ""),
        (1.0, 1.0, 2, "2 frames outside"),
    ],
)
def test_thresholds_are_inclusive(confidence, consistency, outside, reason) -> None:
    explained = explain_rejection(confidence, consistency, outside, GATE)
    assert explained.startswith(reason) and bool(explained) == bool(reason)


def test_sweep_needs_its_fraction_of_frames() -> None:
    assert judge_sweep([True, False], GATE) == (True, "")
    accepted, reason = judge_sweep([True, False, False], GATE)
    assert not accepted and reason.startswith("0.333 of the frames")


def test_one_failing_class_rejects_the_frame_and_human_frames_always_pass() -> None:
    labels = np.zeros((3, 2, 4), dtype=np.uint8)
    labels[:, 0, :2], labels[:, 1, 2:] = 1, 2
    key = {0: labels[0]}
    scores = {1: np.where(labels == 1, 1.0, 0.0), 2: np.where(labels == 2, 0.6, 0.0)}
    verdicts = {(v.label, v.frame): v for v in judge_frames(labels, scores, key, GATE)}
    assert verdicts[1, 0].accepted and verdicts[1, 0].reason == HUMAN and verdicts[1, 0].confidence is None
    assert verdicts[2, 1].reason.startswith("confidence 0.200 <") and not verdicts[2, 1].accepted
    assert verdicts[1, 1].reason == "another class of the frame failed" and not verdicts[1, 1].accepted
    assert verdicts[1, 2].reason == "2 frames outside the key frames > 1"
