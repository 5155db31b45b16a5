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
        InputError: if the gate is required and missed by more than its slack, after the result has been written.
    """
    runs = {name: main_run(name, entry) for name, entry in job.methods.items()}
    looked = {path.stem: read_score_file(path, LOOKED) for path in image_use}
    scored = {path.stem: read_score_file(path, SCORED) for path in scores}
    seeing = {
        name: judge_seeing(looked[runs[name]], rule)
        for name, rule in job.gate.seeing.items()
        if name in runs and runs[name] in looked
    }
    judged = {name: found for name, found in seeing.items() if found is not None}
    blind = _judge_blind(job, runs, scored)
    failures = [
        text
        for name in job.methods
        for text in _explain(name, judged.get(name), blind.get(name), job.gate, 0)
    ]
    stopping = [
        text
        for name in job.methods
        for text in _explain(name, judged.get(name), blind.get(name), job.gate, job.gate.slack)
    ]
    # Without any reference there is nothing to hold a model to: a user's own cohort goes on, and the report says so.
    required = job.gate.required and bool(judged)
    result = {
        "passed": bool(judged) and not failures,
        "required": required,
        "slack": job.gate.slack,
        "failures": failures,
        "image_use": {runs[name]: {"method": name, **found} for name, found in judged.items()},
        "blind": {runs[name]: {"method": name, **found} for name, found in blind.items()},
    }
    write_json(out_json, result)
    if required and stopping:
        raise InputError(
            file=out_json,
            found="; ".join(stopping),
            expected="models whose Dice comes from the image (gate.seeing), above those that look at nothing (gate.blind)",
            remedy="train longer or on more patients; gate.required: false goes on with models that mean little",
        )


def judge_seeing(looked: pd.DataFrame, rule: Any) -> dict[str, Any] | None:
    """Own image minus another patient's on validation patients, as in `report.image_use`; then the mean over sets.

    None where no validation case has a reference.
    """
    rows = looked[(looked["split"] == "val") & looked["dataset"].isin(rule.datasets)]
    # Ultrasound: mean over cases, then over classes. Other sets: over all structures, some of which one patient alone has.
    rows = rows.assign(**{"class": rows["class"].where(rows["dataset"] == "us", "any")})
    means = rows.groupby(["image", "points", "dataset", "class"])["dice"].mean()
    sets = means.groupby(["image", "points", "dataset"]).mean()
    if sets.empty:
        return None
    difference = (sets["own"] - sets["other"]).unstack("dataset")
    first, last = difference.iloc[0].mean(), difference.iloc[-1].mean()
    return {
        "passed": bool(first >= rule.first_click and last >= rule.last_click),
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
            "passed": all((dice[name] or 0) > (floor or 0) for floor in floors.values()),
            "floors": {floor: round(float(value or 0), 3) for floor, value in floors.items()},
        }
        for name in tuned
        if floors
    }


def _explain(
    name: str, seeing: Mapping[str, Any] | None, blind: Mapping[str, Any] | None, gate: Any, slack: float
) -> list[str]:
    """What a required method has missed by more than `slack` points of image use; `gate.blind` knows no slack."""
    rule, texts = gate.seeing.get(name), []
    if rule is None or not rule.required:
        return []
    missed = seeing is not None and min(
        seeing["first_click"] - rule.first_click, seeing["last_click"] - rule.last_click
    )
    if seeing is not None and missed < -slack:
        texts.append(
            f"{name} owes {seeing['first_click']:.1f} and {seeing['last_click']:.1f} points to the image after the first "
            f"and the last click, not {rule.first_click:g} and {rule.last_click:g}"
        )
    if blind is not None and not blind["passed"]:
        floors = ", ".join(f"{floor} {value:.1f}" for floor, value in blind["floors"].items())
        texts.append(f"{name} reaches {blind['dice']:.1f} Dice on validation sweeps, not above {floors}")
    return texts
