"""Means, intervals and tests against hand-computed values and against simulated truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from simulated import LEVELS, draw_cohort, draw_differences

from uscl_med3d.core.seeds import rng
from uscl_med3d.report.patients import PatientSums, average_seeds, combine, gather, macro_mean
from uscl_med3d.report.statistics import (
    contributions,
    detectable_difference,
    estimate,
    holm,
    interval,
    judge,
    resample,
    sign_flip_test,
    smallest_stratum,
)


def rows(*values: tuple[int, str, str, str, float]) -> pd.DataFrame:
    """Rows (training seed, patient, case, class, Dice)."""
    return pd.DataFrame(values, columns=["training_seed", "patient", "case", "class", "dice"])


EXAMPLE = rows(
    (0, "p1", "s1", "liver", 60.0),
    (0, "p1", "s2", "liver", 80.0),
    (0, "p2", "s3", "liver", 40.0),
    (0, "p3", "s4", "ascites", 10.0),
)


def test_macro_mean_is_the_mean_over_classes_of_the_mean_over_cases():
    sums = gather(EXAMPLE, ["liver", "ascites", "spleen"])
    assert macro_mean(sums) == pytest.approx(((60 + 80 + 40) / 3 + 10) / 2)
    assert contributions(sums).sum() == pytest.approx(macro_mean(sums))


def test_patients_that_share_a_class_are_one_stratum():
    sums = gather(EXAMPLE, ["liver", "ascites"])
    groups = dict(zip(sums.patients, sums.groups, strict=True))
    assert groups["p1"] == groups["p2"] != groups["p3"]
    assert smallest_stratum(sums) == 1


def test_a_missing_class_is_named_and_counts_are_of_patients_and_cases():
    made = estimate(EXAMPLE, ["liver", "ascites", "spleen"], 0.95, 200, rng(1, "x"))
    assert (made.n_patients, made.n_cases, made.missing) == (3, 4, ("spleen",))


def test_click_seeds_are_averaged_before_cases():
    twice = pd.concat([EXAMPLE, EXAMPLE.assign(dice=EXAMPLE["dice"] + 10)])
    assert average_seeds(twice)["dice"].tolist() == (EXAMPLE["dice"] + 5).tolist()


def test_a_case_that_one_training_seed_lacks_is_left_out():
    both = rows(
        (0, "p1", "s1", "liver", 60.0), (1, "p1", "s1", "liver", 70.0), (0, "p2", "s2", "liver", 10.0)
    )
    assert macro_mean(gather(both, ["liver"])) == pytest.approx(65.0)


def test_resampling_stays_within_strata():
    sums = gather(EXAMPLE, ["liver", "ascites"])
    # p3 is alone in its stratum, so its class has the same mean in every resample.
    samples = resample(sums, 500, rng(1, "strata"))
    assert samples.min() >= (40 + 10) / 2 - 1e-9
    assert samples.max() <= (70 + 10) / 2 + 1e-9
    assert np.isfinite(samples).all()


def test_a_resample_without_a_class_is_no_estimate_of_the_others():
    """Else the mean over fewer classes, which is another quantity, would move the interval."""
    few = rows(
        (0, "p1", "s1", "liver", 90.0),
        (0, "p1", "s1", "spleen", 10.0),
        (0, "p2", "s2", "liver", 90.0),
        (0, "p3", "s3", "liver", 90.0),
    )
    samples = resample(gather(few, ["liver", "spleen"]), 200, rng(1, "missing"))
    assert np.isnan(samples).any() and set(samples[np.isfinite(samples)]) == {50.0}


def test_one_patient_has_no_interval():
    assert np.isnan(interval(np.full(100, 3.0), 0.95, 1)).all()


def test_interval_widens_for_few_patients():
    samples = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    few, many = interval(samples, 0.95, 6), interval(samples, 0.95, 10_000)
    assert many[1] == pytest.approx(1.96, abs=0.01)
    assert few[1] == pytest.approx(2.571 * np.sqrt(6 / 5), abs=0.1)  # t quantile with 5 degrees of freedom


def test_combination_matches_cases_and_seeds():
    base = rows((0, "p1", "s1", "liver", 50.0), (0, "p2", "s2", "liver", 50.0))
    tuned = rows((0, "p1", "s1", "liver", 60.0), (7, "p1", "s1", "liver", 70.0))
    both = combine([(1.0, tuned), (-1.0, base)])
    assert both.sort_values("training_seed")["value"].tolist() == [10.0, 20.0]


def test_difference_of_equal_models_is_zero_and_not_significant():
    both = combine([(1.0, EXAMPLE), (-1.0, EXAMPLE)])
    sums = gather(both, ["liver", "ascites"], "value")
    made = judge(
        [sums],
        margin=0.0,
        paired=True,
        confidence=0.95,
        n_boot=100,
        n_permutations=99,
        alpha=0.05,
        power=0.8,
        rng=rng(1, "zero"),
    )
    assert (made.mean, made.p) == (0.0, 1.0)


def test_sign_flip_test_is_exact_for_a_tiny_sample():
    # Three equal contributions: of 8 sign patterns only +++ and --- reach the observed sum.
    p = sign_flip_test(np.array([1.0, 1.0, 1.0]), 20_000, rng(1, "exact"))
    assert p == pytest.approx(0.25, abs=0.01)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_never_below_the_raw_value_and_keeps_the_order(p):
    adjusted = holm(p)
    assert (adjusted >= np.array(p) - 1e-12).all()
    assert (adjusted <= 1).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(adjusted[order]) >= -1e-12).all()


def test_holm_against_a_worked_example():
    assert holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])


def test_detectable_difference_of_one_group():
    values = np.array([1.0, -1.0, 2.0, -2.0, 0.5, -0.5])
    sums = PatientSums(values[None, :, None], np.ones((6, 1)), np.zeros(6, int), tuple("abcdef"), ("liver",))
    # t(0.975, 5) + t(0.8, 5) = 2.5706 + 0.9195, times the standard error of the mean.
    assert detectable_difference([sums], 0.05, 0.8) == pytest.approx(
        3.4901 * values.std(ddof=1) / np.sqrt(6), rel=1e-3
    )


@pytest.mark.parametrize("skew", [False, True])
def test_intervals_cover_the_truth_at_forty_patients(skew):
    """93 to 97 % of 95 % intervals hold the true macro mean (25 and 15 patients, 1 to 3 cases each)."""
    repeats, hits = 800, 0
    for number in range(repeats):
        random = rng(11, "coverage", number)
        sums = draw_cohort(random, (25, 15), skew)
        low, high = interval(resample(sums, 300, random), 0.95, smallest_stratum(sums))
        hits += low <= np.mean(LEVELS) <= high
    assert 0.93 <= hits / repeats <= 0.97


def test_false_positives_of_the_corrected_test():
    """With no true difference.

    At most 5 % of families of five corrected tests find one (plus chance of 500 runs).
    """
    repeats, found = 500, 0
    for number in range(repeats):
        random = rng(12, "false positives", number)
        family = [contributions(draw_differences(random, (25, 15))) for _ in range(5)]
        found += (holm([sign_flip_test(values, 199, random) for values in family]) <= 0.05).any()
    assert found / repeats <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / repeats)


def test_power_matches_the_stated_detectable_difference():
    random = rng(13, "power")
    null = draw_differences(random, (25, 15))
    size = detectable_difference([null], 0.05, 0.8)
    hits = [
        sign_flip_test(contributions(draw_differences(random, (25, 15), size)), 199, random) <= 0.05
        for _ in range(200)
    ]
    assert 0.65 <= np.mean(hits) <= 0.95
