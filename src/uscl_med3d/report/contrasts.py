"""Comparisons of models on the same patients, named by what they compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from uscl_med3d.core import seeds
from uscl_med3d.core.params.methods import Run
from uscl_med3d.report.patients import PatientSums, combine, gather
from uscl_med3d.report.statistics import Difference, judge
from uscl_med3d.report.tables.context import DATASETS, Context


@dataclass(frozen=True)
class Level:
    """The score of one model on one dataset after one click count.

    With its sign and weight in a comparison.
    """

    weight: float
    runs: tuple[Run, ...]
    dataset: str
    click: int


@dataclass(frozen=True)
class Contrast:
    """A sum of levels that a claim expects to be positive.

    Attributes:
        label: what it is, in a few words.
        levels: what is added and subtracted.
        classes: classes of the mean, or None for all of the dataset.
        margin: added before testing.
        paired: whether every dataset's levels sum to a difference of models (their signs may be flipped).
        missing: why it cannot be computed, or an empty string.
    """

    label: str
    levels: tuple[Level, ...]
    classes: tuple[str, ...] | None = None
    margin: float = 0.0
    paired: bool = True
    missing: str = ""


def measure(context: Context, contrast: Contrast) -> Difference | str:
    """Estimate, interval and test of a contrast; or the reason why there is none."""
    if contrast.missing:
        return contrast.missing
    parts = []
    for dataset in dict.fromkeys(level.dataset for level in contrast.levels):
        part = _part(context, dataset, contrast)
        if isinstance(part, str):
            return part
        parts.append(part)
    report, stream = context.job.report, ("report", "contrast", contrast.label)
    return judge(
        parts,
        margin=contrast.margin,
        paired=contrast.paired,
        confidence=report.confidence,
        n_boot=report.n_boot,
        n_permutations=report.n_permutations,
        alpha=report.alpha,
        power=report.power,
        rng=seeds.rng(context.job.seed, *stream, *_names(contrast.levels)),
    )


def _part(context: Context, dataset: str, contrast: Contrast) -> PatientSums | str:
    terms = []
    for level in contrast.levels:
        if level.dataset != dataset:
            continue
        rows = context.scored(level.runs, dataset, level.click)
        if rows.empty:
            name = level.runs[0].id
            return f"run {name} has no score on {DATASETS[dataset]} after {level.click} clicks"
        terms.append((level.weight, rows))
    sums = gather(combine(terms), contrast.classes or context.classes_of(dataset), "value")
    return sums if sums.patients else f"no case on {DATASETS[dataset]} that all compared runs have"


def _names(levels: Sequence[Level]) -> list[str]:
    return [f"{level.weight:g}*{level.runs[0].id}@{level.dataset}:{level.click}" for level in levels]
