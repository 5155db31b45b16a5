"""Scores with a known truth, for checking intervals and tests."""

from __future__ import annotations

import numpy as np

from uscl_med3d.report.statistics import PatientSums

LEVELS = (40.0, 55.0, 60.0)
"""True mean of each class: one in the first group of patients, two in the second."""


def draw_cohort(
    rng: np.random.Generator, groups: tuple[int, int], skew: bool, shift: float = 0.0
) -> PatientSums:
    """Two groups of patients, one to three cases each, a patient effect, and noise.

    True means are `LEVELS`.
    """
    sizes = np.repeat([0, 1], groups)
    n = len(sizes)
    effect = rng.gamma(2.0, 5.0, n) - 10.0 if skew else rng.normal(0, 8, n)
    cases = rng.integers(1, 4, n)
    total, count = np.zeros((1, n, 3)), np.zeros((n, 3))
    for patient in range(n):
        for kind in (0,) if sizes[patient] == 0 else (1, 2):
            values = LEVELS[kind] + shift + effect[patient] + rng.normal(0, 5, cases[patient])
            total[0, patient, kind], count[patient, kind] = values.sum(), cases[patient]
    return PatientSums(total, count, sizes, tuple(map(str, range(n))), ("a", "b", "c"))


def draw_differences(rng: np.random.Generator, groups: tuple[int, int], true: float = 0.0) -> PatientSums:
    """Paired differences of two methods whose true difference is `true`."""
    cohort = draw_cohort(rng, groups, skew=False)
    levels = np.where(cohort.count > 0, cohort.count * (np.array(LEVELS) - true), 0.0)
    return PatientSums(
        cohort.total - levels[None], cohort.count, cohort.groups, cohort.patients, cohort.classes
    )
