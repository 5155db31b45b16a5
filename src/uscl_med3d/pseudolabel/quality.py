"""How good the pseudo-labels are, beside two trivial alternatives. Nothing here feeds back into training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

METHODS = ("seggpt", "nearest_key_frame", "shape_interpolation")
IGNORE = 255


def dice_percent(first: np.ndarray, second: np.ndarray) -> float | None:
    """Dice (0..100) of two boolean masks; None where both are empty."""
    total = int(first.sum()) + int(second.sum())
    return 200.0 * int((first & second).sum()) / total if total else None


def score_sweep(
    proposals: Mapping[str, np.ndarray],
    held_out: Mapping[int, np.ndarray],
    reference: np.ndarray | None,
    prompt_frames: list[int],
    classes: Mapping[str, int],
) -> list[dict[str, Any]]:
    """Rows class, frame, method, reference, dice for one sweep.

    proposals: label volume (d, h, w) per method, before the gate; held_out: label maps of the human key
    frames that were no prompt; reference: true label volume, scored over all frames but the prompt key
    frames, whose masks are given. A class that is in the reference but in no prompt scores 0: it was missed.
    Empty masks: a case that is empty in the reference and in every proposal has no row; if some proposal is
    not empty there, the empty ones score 100.
    """
    propagated = np.setdiff1d(np.arange(len(next(iter(proposals.values())))), prompt_frames)
    cases: list[tuple[str, int | str, str, np.ndarray, dict[str, np.ndarray]]] = []
    for name, label in classes.items():
        for frame, mask in sorted(held_out.items()):
            known = mask != IGNORE
            found = {method: (volume[frame] == label) & known for method, volume in proposals.items()}
            cases.append((name, frame, "held_out_key_frame", mask == label, found))
        if reference is not None:
            found = {method: volume[propagated] == label for method, volume in proposals.items()}
            cases.append((name, "volume", "true_mask", reference[propagated] == label, found))
    return [row for case in cases for row in _score_case(*case)]


def _score_case(
    name: str, frame: int | str, reference: str, truth: np.ndarray, found: Mapping[str, np.ndarray]
) -> list[dict[str, Any]]:
    if not truth.any() and not any(mask.any() for mask in found.values()):
        return []
    rows = []
    for method, mask in found.items():
        dice = dice_percent(mask, truth)
        rows.append(
            {
                "class": name,
                "frame": frame,
                "method": method,
                "reference": reference,
                "dice": 100.0 if dice is None else dice,
            }
        )
    return rows


def compare_methods(quality: pd.DataFrame) -> dict[str, Any]:
    """Per reference: mean Dice per method, and SegGPT against each alternative on the cases that both have.

    A case is one sweep, class and frame (or volume); the difference is in Dice points, positive if SegGPT is
    better.
    """
    result: dict[str, Any] = {}
    for reference, rows in quality.groupby("reference", sort=True):
        table = rows.pivot_table(
            index=["sweep", "class", "frame"], columns="method", values="dice", sort=True
        )
        entry: dict[str, Any] = {
            "cases": len(table),
            "mean_dice": {
                method: round(float(table[method].mean()), 3) for method in METHODS if method in table
            },
            "seggpt_beats_alternatives": {},
        }
        for other in METHODS[1:]:
            if other in table and "seggpt" in table:
                difference = (table["seggpt"] - table[other]).dropna()
                entry["seggpt_beats_alternatives"][other] = {
                    "beats": bool(difference.mean() > 0),
                    "mean_difference": round(float(difference.mean()), 3),
                    "share_of_cases_won": round(float((difference > 0).mean()), 3),
                }
        result[str(reference)] = entry
    return result
