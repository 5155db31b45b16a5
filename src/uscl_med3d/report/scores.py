"""Per-case scores: reading, checking, and choosing the rows that a number rests on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from uscl_med3d.core.scores import read_score_file

READ = (
    "run",
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
    "click_d",
    "click_h",
    "click_w",
    "click_label",
    "volume_clicks",
    "dice",
    "nsd",
    "hd95",
    "distance_unit",
    "reason",
)
"""Columns of score files that tables, figures and claims rest on."""

HUMAN_REFERENCES = ("true_mask", "held_out_key_frames")
"""What an ultrasound score may rest on, in order of preference; never a pseudo-label."""

PSEUDO_LABEL, SAME_FRAMES = "pseudo_label", "true_mask_same_frames"
"""Rows that compare predictions with pseudo-labels, and with the truth on the same frames: for `pseudolabel_gap` alone."""


def read_scores(paths: Iterable[Path]) -> pd.DataFrame:
    """Score files (`core.scores`) as one frame with the columns `READ`, sorted by run; without a reason it is "".

    An empty list gives an empty frame.

    Raises:
        InputError: for a file that cannot be read, or that lacks a column.
    """
    frames = [read_score_file(path, READ) for path in sorted(map(Path, paths))]
    if not frames:
        return pd.DataFrame(columns=list(READ))
    scores = pd.concat(frames, ignore_index=True)
    return scores.assign(reason=scores["reason"].fillna(""))


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
