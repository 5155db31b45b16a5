"""Intervals and tests over patients and training seeds at once.

Both are drawn at random: other patients, and the same training begun anew, would have given other numbers. Resampling
three seeds says little about a fourth, so here the variance is estimated by its components and the few degrees
of freedom of the seeds enter through Student's t. Sources: Searle, Casella and McCulloch 1992 (components of a
crossed design); Cochran and Cox 1957, section 4.14 (weighted t quantile).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from uscl_med3d.report.patients import PatientSums


@dataclass(frozen=True)
class Spread:
    """Variance of a macro mean (or of a sum of several), by where it comes from.

    Attributes:
        patients, seeds: squared standard errors; that of seeds is what is left when that of patients is taken away.
        patient_freedom, seed_freedom: degrees of freedom.
    """

    patients: float
    seeds: float
    patient_freedom: float
    seed_freedom: int

    @property
    def error(self) -> float:
        """Standard error."""
        return float(np.sqrt(self.patients + self.seeds))

    def quantile(self, probability: float) -> float:
        """The t quantile that takes the place of the normal one: the two, weighted by their variances."""
        total = self.patients + self.seeds
        if total <= 0:
            return 0.0
        by_patient = stats.t.ppf(probability, self.patient_freedom)
        by_seed = stats.t.ppf(probability, self.seed_freedom)
        return float((self.patients * by_patient + self.seeds * by_seed) / total)

    def interval(self, mean: float, confidence: float) -> tuple[float, float]:
        """Two-sided interval around a mean."""
        half = self.quantile(1 - (1 - confidence) / 2) * self.error
        return mean - half, mean + half

    def p_value(self, mean: float) -> float:
        """Two-sided p value of the hypothesis that the true mean is zero."""
        if self.error == 0:
            return 1.0 if mean == 0 else 0.0
        ratio = abs(mean) / self.error
        smallest = 1e-12
        if ratio >= self.quantile(1 - smallest / 2):
            return smallest
        if ratio <= 1e-9:
            return 1.0
        return float(optimize.brentq(lambda p: self.quantile(1 - p / 2) - ratio, smallest, 1.0))

    def detectable(self, alpha: float, power: float) -> float:
        """Smallest true difference that a two-sided test at `alpha` finds with probability `power`."""
        return (self.quantile(1 - alpha / 2) + self.quantile(power)) * self.error


def has_repeats(parts: Sequence[PatientSums]) -> bool:
    """Whether any of the sums holds several training seeds."""
    return any(part.total.shape[0] > 1 for part in parts)


def measure_spread(parts: Sequence[PatientSums]) -> Spread | None:
    """The spread of a sum of macro means, each of its own patients, trained with the same seeds.

    A part with a single seed (an untrained model) has no spread over seeds. None where a stratum has fewer than
    two patients.
    """
    seeds = max(part.total.shape[0] for part in parts)
    by_seed = np.zeros(seeds)
    patients, weight, both = 0.0, 0.0, 0.0
    for part in parts:
        values = _deviations(part)
        by_seed += values.sum(1)
        mean = values.mean(0)
        for group in np.unique(part.groups):
            members = part.groups == group
            n = int(members.sum())
            if n < 2:
                return None
            variance = n * mean[members].var(ddof=1)
            patients += variance
            weight += variance**2 / (n - 1)
            if len(values) > 1:
                rest = values[:, members]
                rest = rest - rest.mean(0) - rest.mean(1, keepdims=True) + rest.mean()
                both += n * (rest**2).sum() / ((len(values) - 1) * (n - 1)) / len(values)
    over_seeds = by_seed.var(ddof=1) / seeds
    # What patients and seeds do together is in both variances, and counted once.
    total = max(patients + over_seeds - both, patients, over_seeds)
    freedom = patients**2 / weight if weight else float(sum(len(part.patients) - 1 for part in parts))
    return Spread(patients, total - patients, freedom, seeds - 1)


def _deviations(sums: PatientSums) -> np.ndarray:
    """How far each patient moves the macro mean of each training seed (seed, patient).

    A class mean is a ratio of two sums, of scores and of cases, so what counts is a patient's distance from it; a
    patient with many cases is not an outlier for that.
    """
    present = sums.present
    total, count = sums.total[:, :, present], sums.count[:, present]
    mean = total.mean(0).sum(0) / count.sum(0)
    return ((total - mean * count) * sums.weights).sum(2)
