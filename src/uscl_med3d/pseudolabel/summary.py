"""summary.json: the counts and the verdict on SegGPT that the report quotes."""

from __future__ import annotations

from typing import Any

import pandas as pd

from uscl_med3d.pseudolabel.gate import HUMAN
from uscl_med3d.pseudolabel.quality import compare_methods


def summarise(
    method: str, frames: pd.DataFrame, sweeps: pd.DataFrame, quality: pd.DataFrame
) -> dict[str, Any]:
    """Counts of sweeps and frames by verdict and reason, whether the gate finds the bad frames, and the
    comparison.

    Arguments are the tables of frames.csv, sweeps.csv and quality.csv.
    """
    decided = frames.drop_duplicates(["sweep", "frame"])
    human = frames[frames["reason"] == HUMAN].drop_duplicates(["sweep", "frame"])
    failed = frames[~frames["accepted"].astype(bool)]
    kinds = failed["reason"].map(_name_reason).value_counts().sort_index()
    entered = set(sweeps.loc[sweeps["accepted"].astype(bool), "sweep"])
    training = decided[decided["sweep"].isin(entered) & decided["accepted"].astype(bool)]
    return {
        "method": method,
        "sweeps": len(sweeps),
        "sweeps_accepted": len(entered),
        "sweeps_without_key_frames": int((sweeps["reason"] == "no key frames").sum()),
        "frames": len(decided),
        "frames_with_human_mask": len(human),
        "frames_accepted": int(decided["accepted"].sum()),
        "frames_entering_training": len(training),
        "class_frames_rejected_by": {str(kind): int(count) for kind, count in kinds.items()},
        "true_dice_accepted_frames": _mean(sweeps["true_dice_accepted_frames"]),
        "true_dice_rejected_frames": _mean(sweeps["true_dice_rejected_frames"]),
        "quality": compare_methods(quality),
    }


def _name_reason(reason: str) -> str:
    for name in ("confidence", "consistency", "another class"):
        if reason.startswith(name):
            return name
    return "outside the key frames"


def _mean(values: pd.Series) -> float | None:
    numbers = pd.to_numeric(values).dropna()
    return round(float(numbers.mean()), 3) if len(numbers) else None
