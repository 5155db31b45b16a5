from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from uscl_med3d.pseudolabel.quality import compare_methods, score_sweep

CLASSES = {"liver": 3, "spleen": 4}


def volume(*rows: list[int]) -> np.ndarray:
    return np.array(rows, dtype=np.uint8)[:, None, :]


def test_true_mask_is_scored_without_the_prompt_frames() -> None:
    truth = volume([3, 3], [3, 0], [0, 0])
    proposals = {"seggpt": volume([3, 3], [3, 3], [0, 0]), "nearest_key_frame": truth}
    rows = score_sweep(proposals, {}, truth, [0], CLASSES)
    found = {row["method"]: row["dice"] for row in rows}
    assert found["seggpt"] == pytest.approx(100 * 2 / 3) and found["nearest_key_frame"] == 100


def test_pixels_without_annotation_do_not_count() -> None:
    proposals = {"seggpt": volume([0, 0], [3, 3])}
    rows = score_sweep(proposals, {1: np.array([[3, 255]], dtype=np.uint8)}, None, [0], CLASSES)
    assert [row["dice"] for row in rows] == [100.0]


def test_a_missed_class_scores_zero_and_a_false_one_too() -> None:
    truth = volume([0, 0], [4, 0])
    rows = score_sweep(
        {"seggpt": volume([0, 0], [0, 3]), "other": volume([0, 0], [0, 0])}, {}, truth, [0], CLASSES
    )
    dice = {(row["class"], row["method"]): row["dice"] for row in rows}
    assert dice == {
        ("spleen", "seggpt"): 0.0,
        ("spleen", "other"): 0.0,
        ("liver", "seggpt"): 0.0,
        ("liver", "other"): 100.0,
    }


def test_comparison_is_paired() -> None:
    rows = [
        {
            "sweep": sweep,
            "class": "liver",
            "frame": "volume",
            "method": method,
            "reference": "true_mask",
            "dice": dice,
        }
        for sweep, values in {"a": (80, 70, 90), "b": (60, 50, 61)}.items()
        for method, dice in zip(("seggpt", "nearest_key_frame", "shape_interpolation"), values, strict=True)
    ]
    entry = compare_methods(pd.DataFrame(rows))["true_mask"]
    assert entry["seggpt_beats_alternatives"]["nearest_key_frame"] == {
        "beats": True,
        "mean_difference": 10.0,
        "share_of_cases_won": 1.0,
    }
    assert entry["seggpt_beats_alternatives"]["shape_interpolation"]["mean_difference"] == -5.5
