"""Per-case scores: reading, checking, and choosing the rows that a number rests on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from uscl_med3d.core.errors import InputError

REQUIRED = (
    "run",
    "method",
    "rank",
    "modules",
    "vcl",
    "training_seed",
    "dataset",
    "split",
    "patient",
    "case",
    "class",
    "reference",
    "crop",
    "click_simulator",
    "click_seed",
    "click",
    "volume_clicks",
    "dice",
    "nsd",
    "hd95",
    "distance_unit",
    "reason",
)

HUMAN_REFERENCES = ("true_mask", "held_out_key_frames")
"""What an ultrasound score may rest on, in order of preference; never a pseudo-label."""

PSEUDO_LABEL, SAME_FRAMES = "pseudo_label", "true_mask_same_frames"
"""Rows that compare predictions with pseudo-labels, and with the truth on the same frames: for `pseudolabel_gap` alone."""

_TEXT = (
    "run",
    "method",
    "modules",
    "dataset",
    "split",
    "patient",
    "case",
    "class",
    "reference",
    "crop",
    "click_simulator",
    "distance_unit",
    "reason",
)


def read_scores(paths: Iterable[Path]) -> pd.DataFrame:
    """Read score files into one frame, sorted by run; raise `InputError` where a column is missing.

    Each file holds one row per dataset, case, class, click and seed. An empty list gives an empty frame.
    """
    frames = [_read(Path(path)) for path in sorted(map(Path, paths))]
    if not frames:
        return pd.DataFrame(columns=list(REQUIRED))
    return pd.concat(frames, ignore_index=True)


def _read(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, dtype=dict.fromkeys(_TEXT, str), keep_default_na=True, low_memory=False)
    except (OSError, ValueError) as error:
        raise InputError(
            file=path,
            found=str(error),
            expected="a CSV file of per-case scores",
            remedy="run the stage `evaluate` again for this run",
        ) from error
    missing = [name for name in REQUIRED if name not in frame.columns]
    if missing:
        raise InputError(
            file=path,
            found=f"no column {', '.join(missing)}",
            expected=f"the columns {', '.join(REQUIRED)}",
            remedy="run the stage `evaluate` again for this run",
        )
    frame["reason"] = frame["reason"].fillna("")
    return frame


def choose_protocol(scores: pd.DataFrame, crop: str, click_simulator: str, split: str) -> pd.DataFrame:
    """Rows of one split under one crop and one click simulator; the other rows are other protocols.

    Methods that work slice by slice or without clicks have no choice of crop or simulator, and stay. Rows of the
    comparison with pseudo-labels never do.
    """
    compared = scores["reference"].isin([PSEUDO_LABEL, SAME_FRAMES])
    return scores[_choose(scores, crop, click_simulator, split) & ~compared]


def choose_comparison(scores: pd.DataFrame, crop: str, click_simulator: str) -> pd.DataFrame:
    """Rows that compare the predictions on validation sweeps with pseudo-labels, under one protocol."""
    compared = scores["reference"].isin([PSEUDO_LABEL, SAME_FRAMES])
    return scores[compared & _choose(scores, crop, click_simulator, "val")]


def _choose(scores: pd.DataFrame, crop: str, click_simulator: str, split: str) -> pd.Series:
    crops = scores["crop"].isin([crop, "slice", "whole"])
    simulators = scores["click_simulator"].isin([click_simulator, "none"])
    return crops & simulators & (scores["split"] == split)


def choose_reference(ultrasound: pd.DataFrame) -> str:
    """The human reference with the most scored patients; a tie goes to the true masks."""
    scored = ultrasound[ultrasound["dice"].notna()]
    patients = [scored.loc[scored["reference"] == name, "patient"].nunique() for name in HUMAN_REFERENCES]
    return HUMAN_REFERENCES[patients.index(max(patients))]


def explain_missing(rows: pd.DataFrame) -> str:
    """Why no row carries a Dice score, in the words that the stage `evaluate` recorded."""
    reasons = sorted({reason for reason in rows["reason"] if reason})
    if not reasons:
        return "not scored: no case of this kind in the test patients"
    text = "; ".join(reasons)
    return text if text.startswith("not scored") else f"not scored: {text}"
