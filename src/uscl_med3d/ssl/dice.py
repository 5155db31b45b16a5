"""Table 8: Dice of the usual fine-tune, by what the encoder's adapters started from and by labelled patients."""

from __future__ import annotations

from typing import Any

import pandas as pd

from uscl_med3d.core.params.ssl import NONE
from uscl_med3d.core.seeds import rng
from uscl_med3d.report.patients import average_seeds, combine, gather
from uscl_med3d.report.statistics import Difference, estimate, judge
from uscl_med3d.ssl.words import name_labelled

REFERENCE = "true_mask"
COLUMNS = [
    "start",
    "labelled_per_group",
    "labelled_patients",
    "clicks",
    "dice",
    "ci_low",
    "ci_high",
    "test_patients",
    "seeds",
]


def build_table(job: Any, scores: pd.DataFrame | None, watched: pd.DataFrame) -> pd.DataFrame:
    """One row per start, number of labelled patients and shown number of clicks.

    `minus_none`: against the fine-tune that starts from the base model, on the same labelled patients, with the same
    crops; paired by patient.
    """
    rows = []
    report, classes = job.report, list(job.classes)
    if scores is None:
        return pd.DataFrame(columns=COLUMNS)
    for (start, run, click), part in _split(scores):
        found = estimate(
            average_seeds(part),
            classes,
            report.confidence,
            report.n_boot,
            rng(job.seed, "ssl", "table8", start, run, click),
        )
        patients = watched[(watched["name"] == start) & (watched["labelled"] == int(run))]["patients"]
        row = {
            "start": start,
            "labelled_per_group": name_labelled(int(run)),
            "labelled_patients": int(patients.iloc[0]) if len(patients) else 0,
            "clicks": click,
            "dice": found.mean,
            "ci_low": found.low,
            "ci_high": found.high,
            "test_patients": found.n_patients,
            "seeds": part["training_seed"].nunique(),
        }
        against = compare_start(job, scores, start, int(run), click)
        if against is not None:
            row |= {"minus_none": against.mean, "minus_none_low": against.low}
            row |= {"minus_none_high": against.high, "p": against.p}
        rows.append(row)
    return pd.DataFrame(rows).round(4)


def compare_starts(job: Any, scores: pd.DataFrame | None) -> dict[tuple[str, int], Difference]:
    """(start, labelled patients per group; 0: all) -> Dice minus that of `none` after the last click."""
    if scores is None:
        return {}
    found = {}
    for start, run in sorted(set(zip(scores["start"], scores["run"], strict=True))):
        difference = compare_start(job, scores, start, int(run), int(scores["click"].max()))
        if difference is not None:
            found[start, int(run)] = difference
    return found


def compare_start(job: Any, scores: pd.DataFrame, start: str, count: int, click: int) -> Difference | None:
    """Dice of a start minus that of `none`; None where there is nothing to compare with."""
    if start == NONE:
        return None
    pairs = [_choose(scores, name, count, click) for name in (start, NONE)]
    if not len(pairs[0]) or not len(pairs[1]):
        return None
    classes, report = list(job.classes), job.report
    together = combine([(1.0, average_seeds(pairs[0])), (-1.0, average_seeds(pairs[1]))])
    return judge(
        [gather(together, classes, "value")],
        margin=0.0,
        paired=True,
        confidence=report.confidence,
        n_boot=report.n_boot,
        n_permutations=report.n_permutations,
        alpha=report.alpha,
        power=report.power,
        rng=rng(job.seed, "ssl", "table8", start, count, click, "difference"),
    )


def _split(scores: pd.DataFrame) -> Any:
    last = int(scores["click"].max())
    shown = scores[scores["click"].isin({1, last}) & (scores["reference"] == REFERENCE)]
    yield from shown.groupby(["start", "run", "click"], sort=True)


def _choose(scores: pd.DataFrame, start: str, count: int, click: int) -> pd.DataFrame:
    wanted = (scores["start"] == start) & (scores["run"] == str(count)) & (scores["click"] == click)
    return scores[wanted & (scores["reference"] == REFERENCE)]
