from __future__ import annotations

import numpy as np
import pytest
from simulated import LEVELS, draw_cohort, draw_differences

from uscl_med3d.core.seeds import rng
from uscl_med3d.report.crossed import Spread, has_repeats, measure_spread
from uscl_med3d.report.patients import PatientSums, macro_mean
from uscl_med3d.report.statistics import holm

TRUTH = float(np.mean(LEVELS))


def make_sums(values: np.ndarray) -> PatientSums:
    """One class, one case per patient; `values` (seed, patient)."""
    n = values.shape[1]
    return PatientSums(
        values[:, :, None], np.ones((n, 1)), np.zeros(n, int), tuple(map(str, range(n))), ("a",)
    )


def test_without_spread_over_seeds_it_is_the_t_interval_over_patients():
    values = np.array([1.0, 3.0, 2.0, 6.0, 4.0])
    spread = measure_spread([make_sums(np.stack([values] * 3))])
    assert spread.seeds == pytest.approx(0) and spread.patient_freedom == pytest.approx(4)
    half = 2.7764 * values.std(ddof=1) / np.sqrt(5)  # t(0.975, 4)
    assert spread.interval(3.2, 0.95) == pytest.approx((3.2 - half, 3.2 + half), rel=1e-4)


def test_without_spread_over_patients_it_is_the_t_interval_over_seeds():
    values = np.repeat([[1.0], [2.0], [6.0]], 5, axis=1)
    spread = measure_spread([make_sums(values)])
    half = 4.3027 * np.std([1, 2, 6], ddof=1) / np.sqrt(3)  # t(0.975, 2)
    assert spread.interval(3.0, 0.95) == pytest.approx((3 - half, 3 + half), rel=1e-4)


def test_p_value_and_interval_agree():
    spread = Spread(patients=2.0, seeds=1.0, patient_freedom=30.0, seed_freedom=2)
    edge = spread.interval(0.0, 0.95)[1]
    assert spread.p_value(edge) == pytest.approx(0.05, abs=1e-6)
    assert spread.p_value(0.0) == 1.0 and spread.p_value(1e9) <= 1e-9
    assert spread.p_value(edge * 1.1) < 0.05 < spread.p_value(edge * 0.9)


def test_equal_models_do_not_differ():
    spread = measure_spread([make_sums(np.zeros((3, 4)))])
    assert spread.interval(0.0, 0.95) == (0.0, 0.0) and spread.p_value(0.0) == 1.0


def test_models_with_one_seed_join_those_with_three():
    many, one = make_sums(rng(1).normal(size=(3, 8))), make_sums(rng(2).normal(size=(1, 6)))
    assert has_repeats([one, many]) and not has_repeats([one])
    joined, alone = measure_spread([one, many]), measure_spread([many])
    assert joined.patients > alone.patients and joined.seed_freedom == 2


def test_one_patient_has_no_spread():
    assert measure_spread([make_sums(np.ones((3, 1)))]) is None


@pytest.mark.parametrize("seed_sd", [0.0, 1.0, 3.0])
def test_intervals_cover_the_truth_with_three_training_seeds(seed_sd):
    """93 to 97 % of 95 % intervals hold the true macro mean of 40 patients and of all possible seeds.

    1500 repetitions leave a standard error of half a point, hence the wider bounds of this test.
    """
    repeats, hits = 1500, 0
    for number in range(repeats):
        sums = draw_cohort(rng(14, "crossed", number), (25, 15), False, 0.0, 3, seed_sd)
        low, high = measure_spread([sums]).interval(macro_mean(sums), 0.95)
        hits += low <= TRUTH <= high
    assert 0.93 <= hits / repeats <= 0.97 + 0.005


@pytest.mark.parametrize("seed_sd", [0.0, 2.0])
def test_false_positives_with_three_training_seeds(seed_sd):
    """At most 5 % of families of five corrected tests find a difference where there is none."""
    repeats, found = 400, 0
    for number in range(repeats):
        random = rng(15, "crossed", number)
        family = [draw_differences(random, (25, 15), 0.0, 3, seed_sd) for _ in range(5)]
        p = [measure_spread([one]).p_value(macro_mean(one)) for one in family]
        found += (holm(p) <= 0.05).any()
    assert found / repeats <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / repeats)


def test_what_patients_and_seeds_do_together_is_counted_once():
    """Two seeds, two patients: mean squares 16 (patients), 36 (seeds), 4 (together); (16 + 36 - 4) / 4."""
    spread = measure_spread([make_sums(np.array([[0.0, 2.0], [4.0, 10.0]]))])
    assert spread.patients == pytest.approx(4) and spread.patients + spread.seeds == pytest.approx(12)
