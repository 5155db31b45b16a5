"""Intervals and tests in which the patient is the unit.

Cases of one patient are not independent, so patients (not cases) are resampled and sign-flipped. Patients
are resampled within their class pattern's group (chest, abdomen), because no patient of one group can stand
for another. The estimate is always the macro mean: over classes, of the mean over cases, each case first
averaged over click seeds. Several training seeds are a second random factor: see `crossed`. Sources: Field
and Welsh 2007 (cluster bootstrap); Hesterberg 2015 (expanded percentile interval); Holm 1979; Bloom 1995
(minimum detectable difference).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from uscl_med3d.report.crossed import has_repeats, measure_spread
from uscl_med3d.report.patients import PatientSums, gather, macro_mean


@dataclass(frozen=True)
class Estimate:
    """A macro mean with its interval; NaN where nothing was scored."""

    mean: float
    low: float
    high: float
    n_patients: int
    n_cases: int
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """A paired difference (first minus second) in the same units as the scores.

    `p` is two-sided; `detectable` is the smallest true difference that would have been found at the stated
    power.
    """

    mean: float
    low: float
    high: float
    p: float
    detectable: float
    n_patients: int
    seeds: int


def resample(sums: PatientSums, n_boot: int, rng: np.random.Generator) -> np.ndarray:
    """Macro means of `n_boot` resampled cohorts (n_boot,).

    Patients are drawn with replacement within strata; training seeds are averaged. A resample in which a class
    has no case left is NaN.
    """
    weights = np.zeros((n_boot, len(sums.patients)))
    for group in np.unique(sums.groups):
        members = np.flatnonzero(sums.groups == group)
        weights[:, members] = rng.multinomial(
            len(members), np.full(len(members), 1 / len(members)), size=n_boot
        )
    present = sums.present
    totals = weights @ sums.total.mean(0)[:, present]
    with np.errstate(invalid="ignore", divide="ignore"):
        return (totals / (weights @ sums.count[:, present])).mean(1)


def interval(samples: np.ndarray, confidence: float, n: int) -> tuple[float, float]:
    """Expanded percentile interval: tails widened for `n` patients, as a t interval with n - 1 degrees would
    be.

    Plain percentiles are too narrow by about sqrt((n - 1) / n) and ignore the t distribution; at n = 10 they
    cover about 90 % instead of 95 %. One patient gives no interval (NaN).
    """
    samples = samples[np.isfinite(samples)]
    if n < 2 or not len(samples):
        return float("nan"), float("nan")
    quantile = stats.t.ppf(1 - (1 - confidence) / 2, n - 1) * np.sqrt(n / (n - 1))
    tail = stats.norm.sf(quantile)
    low, high = np.quantile(samples, [tail, 1 - tail])
    return float(low), float(high)


def estimate(
    rows: pd.DataFrame,
    classes: Sequence[str],
    confidence: float,
    n_boot: int,
    rng: np.random.Generator,
    value: str = "dice",
) -> Estimate:
    """Macro mean over `classes` with its interval, of one model on one dataset, reference and click.

    `rows` have the columns `AVERAGED`, or `value` in place of Dice.
    """
    sums = gather(rows, classes, value)
    present = sums.present
    missing = tuple(name for name, there in zip(classes, present, strict=True) if not there)
    if not present.any():
        nan = float("nan")
        return Estimate(nan, nan, nan, 0, 0, missing)
    mean, spread = macro_mean(sums), measure_spread([sums]) if has_repeats([sums]) else None
    if spread is not None:
        low, high = spread.interval(mean, confidence)
    else:
        low, high = interval(resample(sums, n_boot, rng), confidence, smallest_stratum(sums))
    cases = rows.loc[rows["class"].isin(classes), "case"].nunique()
    return Estimate(mean, low, high, len(sums.patients), int(cases), missing)


def smallest_stratum(sums: PatientSums) -> int:
    """Patients in the smallest stratum: the one that limits the precision of a macro mean."""
    return int(np.unique(sums.groups, return_counts=True)[1].min()) if len(sums.groups) else 0


def contributions(sums: PatientSums) -> np.ndarray:
    """What each patient adds to the macro mean (patient,); their sum is `macro_mean`."""
    return (sums.total.mean(0)[:, sums.present] * sums.weights).sum(1)


def sign_flip_test(values: np.ndarray, n_permutations: int, rng: np.random.Generator) -> float:
    """Two-sided p value of a paired permutation test: under the null, each patient's contribution may change
    sign.

    `values` are per-patient contributions (patient,). The observed arrangement counts as one permutation, so
    p is never 0 and the test is exact in level. Fewer than two patients give p = 1.
    """
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return 1.0
    signs = rng.integers(0, 2, size=(n_permutations, len(values)), dtype=np.int8) * 2 - 1
    observed = abs(values.sum())
    # The tolerance keeps ties (equal sums in another order of addition) on the safe side.
    reached = np.abs(signs @ values) >= observed - 1e-9 * max(observed, 1.0)
    return float((1 + reached.sum()) / (1 + n_permutations))


def detectable_difference(parts: Sequence[PatientSums], alpha: float, power: float) -> float:
    """Smallest true difference that a two-sided test at `alpha` finds with probability `power`.

    From the observed spread of patients' contributions within strata and the t distribution (Bloom 1995).
    """
    variance, freedom = 0.0, 0
    for part in parts:
        values = contributions(part)
        for group in np.unique(part.groups):
            members = values[part.groups == group]
            if len(members) < 2:
                return float("nan")
            variance += len(members) * members.var(ddof=1)
            freedom += len(members) - 1
    if not freedom:
        return float("nan")
    return float((stats.t.ppf(1 - alpha / 2, freedom) + stats.t.ppf(power, freedom)) * np.sqrt(variance))


def judge(
    parts: Sequence[PatientSums],
    *,
    margin: float,
    paired: bool,
    confidence: float,
    n_boot: int,
    n_permutations: int,
    alpha: float,
    power: float,
    rng: np.random.Generator,
) -> Difference:
    """Interval and test of a sum of macro means, each from its own cohort (usually one: a paired difference).

    `margin` is added before testing, for claims of the kind "not worse by more than the margin". Unpaired
    sums (levels on different patients) have no exchangeable signs: their p value comes from the bootstrap.
    """
    mean = float(sum(macro_mean(part) for part in parts) + margin)
    about = {"n_patients": sum(len(part.patients) for part in parts), "seeds": parts[0].total.shape[0]}
    spread = measure_spread(parts) if has_repeats(parts) else None
    if spread is not None:
        low, high = spread.interval(mean, confidence)
        return Difference(mean, low, high, spread.p_value(mean), spread.detectable(alpha, power), **about)
    samples = np.asarray(sum(resample(part, n_boot, rng) for part in parts) + margin)
    low, high = interval(samples, confidence, min(smallest_stratum(part) for part in parts))
    values = np.concatenate([contributions(part) for part in parts])
    values = values + margin / max(len(values), 1)
    tail = (1 + min((samples <= 0).sum(), (samples >= 0).sum())) / (1 + n_boot)
    p = sign_flip_test(values, n_permutations, rng) if paired else min(1.0, 2 * float(tail))
    return Difference(mean, low, high, p, detectable_difference(parts, alpha, power), **about)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm-adjusted p values, in the order given."""
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
