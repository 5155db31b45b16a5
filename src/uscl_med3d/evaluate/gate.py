"""The gate: do the models look at the image, and do they beat what looks at nothing? On validation patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import write_json
from uscl_med3d.core.runs import main_run
from uscl_med3d.core.scores import read_score_file

LOOKED = ("dataset", "split", "points", "image", "dice", "class")
SCORED = ("dataset", "split", "reference", "class", "click", "dice")


def check_gate(job: Any, image_use: Sequence[Path], scores: Sequence[Path], out_json: Path) -> None:
    """Judge the main runs by `job.gate`, and write the result.

    Args:
        image_use, scores: files named by the run, of the methods that the gate names and of all tuned methods.

    Raises:
        InputError: if the gate is required and not passed, after the result has been written.
    """
    runs = {name: main_run(name, entry) for name, entry in job.methods.items()}
    looked = {path.stem: read_score_file(path, LOOKED) for path in image_use}
    scored = {path.stem: read_score_file(path, SCORED) for path in scores}
    methods = {
        name: judge_seeing(looked[runs[name]], rule)
        for name, rule in job.gate.seeing.items()
        if name in runs and runs[name] in looked
    }
    blind = _judge_blind(job, runs, scored)
    for name, found in blind.items():
        methods[name] = methods.get(name, {"sees": None}) | found
    failures = [text for name, found in methods.items() for text in _explain(name, found, job.gate)]
    # Without any true mask there is nothing to hold a model to: a user's own cohort goes on, and the report says so.
    measured = any(found.get("sees") is not None for found in methods.values())
    required = job.gate.required and measured
    result = {
        "passed": measured and not failures,
        "required": required,
        "failures": failures,
        "methods": methods,
    }
    write_json(out_json, result)
    if required and failures:
        raise InputError(
            file=out_json,
            found="; ".join(failures),
            expected="models whose Dice comes from the image (gate.seeing), above those that look at nothing (gate.blind)",
            remedy="train longer or on more patients; gate.required: false goes on with models that mean little",
        )


def judge_seeing(looked: pd.DataFrame, rule: Any) -> dict[str, Any]:
    """Own image minus another patient's on validation patients: mean over cases, then over classes, then over sets."""
    rows = looked[(looked["split"] == "val") & looked["dataset"].isin(rule.datasets)]
    means = rows.groupby(["image", "points", "dataset", "class"])["dice"].mean()
    sets = means.groupby(["image", "points", "dataset"]).mean()
    if sets.empty:
        return {"sees": None, "reason": "no validation case with a reference", "required": rule.required}
    difference = (sets["own"] - sets["other"]).unstack("dataset")
    first, last = difference.iloc[0].mean(), difference.iloc[-1].mean()
    return {
        "sees": bool(first >= rule.first_click and last >= rule.last_click),
        "required": rule.required,
        "first_click": round(float(first), 3),
        "last_click": round(float(last), 3),
        "first_click_needed": rule.first_click,
        "last_click_needed": rule.last_click,
        "datasets": {
            str(name): [round(float(column.iloc[0]), 3), round(float(column.iloc[-1]), 3)]
            for name, column in difference.items()
        },
    }


def mean_dice(scored: pd.DataFrame) -> float | None:
    """Mean over classes of the mean Dice of validation sweeps after the last click; None without any true mask."""
    rows = scored[
        (scored["dataset"] == "us") & (scored["split"] == "val") & (scored["reference"] == "true_mask")
    ]
    rows = rows[rows["click"] == rows["click"].max()]
    return None if rows.empty else float(rows.groupby("class")["dice"].mean().mean())


def _judge_blind(
    job: Any, runs: Mapping[str, str], scored: Mapping[str, pd.DataFrame]
) -> dict[str, dict[str, Any]]:
    """Whether each tuned method is above every method that looks at nothing."""
    dice = {name: mean_dice(scored[run]) for name, run in runs.items() if run in scored}
    floors = {name: dice[name] for name in job.gate.blind if dice.get(name) is not None}
    tuned = [
        name for name, entry in job.methods.items() if entry.tuning is not None and dice.get(name) is not None
    ]
    return {
        name: {
            "dice": round(float(dice[name] or 0), 3),
            "above_blind": all((dice[name] or 0) > (floor or 0) for floor in floors.values()),
            "blind": {floor: round(float(value or 0), 3) for floor, value in floors.items()},
        }
        for name in tuned
        if floors
    }


def _explain(name: str, found: Mapping[str, Any], gate: Any) -> list[str]:
    """What stops the pipeline."""
    rule, texts = gate.seeing.get(name), []
    if rule is not None and rule.required and found.get("sees") is False:
        texts.append(
            f"{name} owes {found['first_click']:.1f} and {found['last_click']:.1f} points to the image after the first "
            f"and the last click, not {rule.first_click:g} and {rule.last_click:g}"
        )
    if rule is not None and rule.required and found.get("above_blind") is False:
        floors = ", ".join(f"{floor} {value:.1f}" for floor, value in found["blind"].items())
        texts.append(f"{name} reaches {found['dice']:.1f} Dice on validation sweeps, not above {floors}")
    return texts
