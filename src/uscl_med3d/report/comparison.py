"""What a model scores against pseudo-labels, beside what it scores against the truth on the same frames.

Validation sweeps have both: pseudo-labels that no model was trained on, and, in a simulated cohort, true masks. The
same predictions after the same clicks are compared with either on the frames that the gate accepted, so that the two
numbers differ by the reference alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from uscl_med3d.core import seeds
from uscl_med3d.core.params.methods import Run
from uscl_med3d.report.patients import AVERAGED
from uscl_med3d.report.scores import PSEUDO_LABEL, SAME_FRAMES, choose_comparison, explain_missing
from uscl_med3d.report.statistics import Estimate, estimate


@dataclass(frozen=True)
class Gap:
    """Mean Dice over classes of one model against both references, and the first minus the second.

    `reason` says why there is none; the others are then None.
    """

    pseudo_label: Estimate | None
    truth: Estimate | None
    difference: Estimate | None
    reason: str = ""


def judge_gap(job: Any, scores: pd.DataFrame, runs: Sequence[Run], click: int) -> Gap:
    """The gap of one model (all its training seeds) after a number of clicks, with intervals over patients.

    Args:
        scores: as read from the files.
    """
    evaluate, report = job.evaluate, job.report
    rows = choose_comparison(scores, evaluate.crops[0], evaluate.click_simulators[0])
    rows = rows[
        rows["run"].isin([run.id for run in runs]) & (rows["click"] == click) & (rows["dataset"] == "us")
    ]
    pairs = pair(rows)
    if pairs.empty:
        missing = rows[(rows["reference"] == SAME_FRAMES) & rows["dice"].isna()]
        reason = (
            explain_missing(missing)
            if len(missing)
            else "not scored: no validation sweep has both references"
        )
        return Gap(None, None, None, reason)

    def judge(value: str) -> Estimate:
        # One stream for all: every method and both references meet the same resampled patients.
        rng = seeds.rng(job.seed, "report", "comparison", click)
        return estimate(pairs, tuple(job.classes), report.confidence, report.n_boot, rng, value)

    return Gap(judge(PSEUDO_LABEL), judge(SAME_FRAMES), judge("difference"))


def pair(rows: pd.DataFrame) -> pd.DataFrame:
    """Cases scored on both references, averaged over click seeds: `AVERAGED` without Dice, both, `difference`."""
    keys = list(AVERAGED[:-1])
    scored = rows[rows["dice"].notna()]
    pairs = scored.pivot_table(index=[*keys, "click_seed"], columns="reference", values="dice")
    pairs = pairs.reindex(columns=[PSEUDO_LABEL, SAME_FRAMES]).dropna()
    pairs = pairs.groupby(level=keys).mean().reset_index()
    return pairs.assign(difference=pairs[PSEUDO_LABEL] - pairs[SAME_FRAMES])
