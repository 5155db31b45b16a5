"""Scores with a known truth, for checking intervals and tests."""

from __future__ import annotations

import numpy as np

from uscl_med3d.report.patients import PatientSums

LEVELS = (40.0, 55.0, 60.0)
"""True mean of each class: one in the first group of patients, two in the second."""


def draw_cohort(
    rng: np.random.Generator,
    groups: tuple[int, int],
    skew: bool,
    shift: float = 0.0,
    seeds: int = 1,
    seed_sd: float = 0.0,
) -> PatientSums:
    """Two groups of patients, one to three cases each, a patient effect, and noise.

    True means are `LEVELS`. Each training seed adds an effect of its own, the same for all patients, and noise.
    """
    sizes = np.repeat([0, 1], groups)
    n = len(sizes)
    effect = rng.gamma(2.0, 5.0, n) - 10.0 if skew else rng.normal(0, 8, n)
    cases = rng.integers(1, 4, n)
    total, count = np.zeros((seeds, n, 3)), np.zeros((n, 3))
    seed_effect = rng.normal(0, seed_sd, seeds) if seeds > 1 else np.zeros(1)
    for patient in range(n):
        for kind in (0,) if sizes[patient] == 0 else (1, 2):
            noise = rng.normal(0, 5, (seeds, cases[patient]))
            values = LEVELS[kind] + shift + effect[patient] + seed_effect[:, None] + noise
            total[:, patient, kind], count[patient, kind] = values.sum(1), cases[patient]
    return PatientSums(total, count, sizes, tuple(map(str, range(n))), ("a", "b", "c"))


def draw_differences(
    rng: np.random.Generator, groups: tuple[int, int], true: float = 0.0, seeds: int = 1, seed_sd: float = 0.0
) -> PatientSums:
    """Paired differences of two methods whose true difference is `true`."""
    cohort = draw_cohort(rng, groups, False, 0.0, seeds, seed_sd)
    levels = np.where(cohort.count > 0, cohort.count * (np.array(LEVELS) - true), 0.0)
    return PatientSums(
        cohort.total - levels[None], cohort.count, cohort.groups, cohort.patients, cohort.classes
    )
