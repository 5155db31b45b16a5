"""Scores of other repositories, traps included, equal the official numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from uscl_med3d.evaluate.official_scores import (
    camus_prediction,
    msa_scores,
    row_distance,
    samed_scores,
    samus_scores,
)


@pytest.fixture(scope="module")
def samus(shared: Path) -> dict[str, np.ndarray]:
    return load_file(shared / "reference" / "samus_losses_metrics.tiny.safetensors")


def test_scores_of_samus_are_official(samus):
    pairs = zip(samus["in/pred_uint8"], samus["in/truth_uint8"], samus["ref32/metric.all"], strict=True)
    for predicted, truth, expected in pairs:
        assert np.allclose(samus_scores(predicted, truth), expected, rtol=1e-12)


def test_the_row_distance_is_no_distance_of_shapes():
    """Moving a square along its rows by ten pixels leaves it at the same value as moving it by four."""
    square = np.zeros((40, 40), bool)
    square[10:14, 10:14] = True
    near, far = np.roll(square, 4, 1), np.roll(square, 10, 1)
    assert row_distance(square, near) == row_distance(square, far) > 0
    assert row_distance(square, np.roll(square, 10, 0)) == 0


def test_with_one_channel_the_camus_evaluation_sees_only_background(samus):
    logits = samus["in/logits1"]
    assert camus_prediction(logits).sum() == int(samus["ref32/camus.seg_sum"][0]) == 0
    assert camus_prediction(np.concatenate([-logits, logits], 1)).any()


def test_scores_of_samed_are_official(shared):
    tensors = load_file(shared / "reference" / "samed.tiny.safetensors")
    cases = zip(
        tensors["ref32/metric.pred"],
        tensors["ref32/metric.gt"],
        tensors["ref32/metric.dice_hd95"],
        strict=True,
    )
    for predicted, truth, expected in cases:
        assert np.allclose(samed_scores(predicted, truth), expected, rtol=1e-12)


def test_scores_of_msa_are_official(shared):
    tensors = load_file(shared / "reference" / "msa.tiny.safetensors")
    found = msa_scores(tensors["in/eval_logits"], tensors["in/eval_gt"])
    assert np.allclose(found, tensors["ref32/eval.iou_dice"], rtol=1e-6)
