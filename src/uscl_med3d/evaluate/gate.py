"""The gate: is the small model good enough for its comparisons to mean something?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import write_json
from uscl_med3d.core.scores import read_score_file

COLUMNS_READ = ("dataset", "split", "reference", "crop", "click_simulator", "class", "click", "dice")


def check_gate(job: Any, scores_file: Path, out_json: Path) -> None:
    """Judge one run on validation patients and true masks by `job.gate`, and write the result.

    Every class reaches `min_class_dice` and their mean `min_mean_dice` after the last click, and the mean
    gains at least `min_gain` points from the first click to the last. Means are over cases, then over
    classes.

    Raises:
        InputError: if the gate is required and not passed, after the result has been written.
    """
    gate = job.gate
    means = average_by_click(read_score_file(scores_file, COLUMNS_READ), gate.crop, gate.click_simulator)
    result = judge(means, list(job.classes), job.evaluate.clicks, gate)
    write_json(out_json, result)
    if result["required"] and not result["passed"]:
        raise InputError(
            file=scores_file, found="; ".join(result["failures"]),
            expected=f"every class at least {gate.min_class_dice:g} Dice, their mean at least "
            f"{gate.min_mean_dice:g}, a gain of {gate.min_gain:g} points by clicking",
            remedy="change model size, training steps or the base model's data in params.yaml; "
            "gate.required: false goes on without a meaningful model",
        )  # fmt: skip


def average_by_click(scores: pd.DataFrame, crop: str, simulator: str) -> pd.DataFrame:
    """Mean Dice over validation cases against true masks: one row per class, one column per click."""
    chosen = scores[
        (scores["dataset"] == "us") & (scores["split"] == "val") & (scores["reference"] == "true_mask")
        & (scores["crop"] == crop) & (scores["click_simulator"] == simulator)
    ]  # fmt: skip
    return chosen.groupby(["class", "click"])["dice"].mean().unstack("click")


def judge(means: pd.DataFrame, classes: list[str], clicks: int, gate: Any) -> dict[str, Any]:
    """The gate's result for mean Dice by class (rows) and click (columns)."""
    missing = [name for name in classes if name not in means.index]
    if missing:
        failures = [f"no validation score of {name} against a true mask" for name in missing]
        # Without any true mask there is nothing to hold the model to: a user's own cohort goes on, and the report says so.
        required = gate.required and len(missing) < len(classes)
        return {"run": gate.run, "passed": False, "required": required, "failures": failures}
    first, last = means.loc[classes, 1], means.loc[classes, clicks]
    mean, gain = float(last.mean()), float(last.mean() - first.mean())
    failures = [f"{name} {last[name]:.1f}" for name in classes if not last[name] >= gate.min_class_dice]
    failures += [f"class mean {mean:.1f}"] * (not mean >= gate.min_mean_dice)
    failures += [f"gain by clicking {gain:.1f}"] * (not gain >= gate.min_gain)
    return {
        "run": gate.run,
        "passed": not failures,
        "required": gate.required,
        "failures": failures,
        "dice_by_class": {name: round(float(last[name]), 3) for name in classes},
        "dice_by_class_first_click": {name: round(float(first[name]), 3) for name in classes},
        "mean_dice": round(mean, 3),
        "gain": round(gain, 3),
        "limits": gate.model_dump(include={"min_class_dice", "min_mean_dice", "min_gain"}),
    }
