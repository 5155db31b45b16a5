"""The test of a comparison: which test is made, what the margin does, and what makes a verdict."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from uscl_med3d.core.seeds import rng
from uscl_med3d.report.claims.claim import Claim, Evidence, Finding
from uscl_med3d.report.claims.verdict import decide
from uscl_med3d.report.patients import PatientSums
from uscl_med3d.report.statistics import Difference, judge

N_BOOT = 499


def judged(*values: float, margin: float = 0.0, paired: bool = True) -> Difference:
    """A comparison with one case of one class per patient."""
    count = len(values)
    names = tuple(map(str, range(count)))
    sums = PatientSums(
        np.array(values)[None, :, None], np.ones((count, 1)), np.zeros(count, int), names, ("a",)
    )
    settings = {"confidence": 0.95, "n_boot": N_BOOT, "n_permutations": 4999, "alpha": 0.05, "power": 0.8}
    return judge([sums], margin=margin, paired=paired, rng=rng(1, "judge"), **settings)


def test_differences_are_tested_by_signs_and_levels_by_resampling():
    # Four patients, all above zero: 2 of 16 sign patterns are as far; no resample is at or below zero.
    assert judged(3.0, 4.0, 5.0, 6.0).p == pytest.approx(2 / 16, abs=0.02)
    assert judged(3.0, 4.0, 5.0, 6.0, paired=False).p == pytest.approx(2 / (1 + N_BOOT))
    assert judged(-3.0, 3.0, -1.0, 1.0, paired=False).p > 0.5


@pytest.mark.parametrize("paired", [True, False])
def test_a_loss_is_tested_against_the_margin(paired):
    losses = (-4.0, -2.0, 0.0, -3.0, -1.0, -2.0)
    equal = judged(*losses, margin=2.0, paired=paired)  # a loss of exactly the margin
    assert equal.mean == pytest.approx(0) and equal.low < 0 < equal.high and equal.p > 0.5
    kept = judged(*losses, margin=7.0, paired=paired)
    assert kept.mean == pytest.approx(5) and kept.low > 0 and kept.p < 0.05
    lost = judged(*losses, paired=paired)
    assert lost.mean == pytest.approx(-2) and lost.high < 0


def verdict(mean: float, low: float, high: float, p: float, seeds: int = 3) -> str:
    difference = Difference(mean, low, high, p, 1.0, 10, seeds)
    claim = Claim("x", "", "", "", lambda: "", examine=lambda evidence: [Finding("a", difference)])
    context = SimpleNamespace(job=SimpleNamespace(report=SimpleNamespace(alpha=0.05)))
    return decide([claim], Evidence(context))[0]["verdict"]


def test_a_verdict_needs_both_the_interval_and_the_corrected_p_value():
    assert verdict(5.0, 1.0, 9.0, 0.01) == "supported"
    assert verdict(5.0, -1.0, 9.0, 0.01) == "undecided"
    assert verdict(5.0, 1.0, 9.0, 0.06) == "undecided"
    assert verdict(-5.0, -9.0, -1.0, 0.01) == "contradicted"
    assert verdict(-5.0, -9.0, 1.0, 0.01) == "undecided"
    assert verdict(-5.0, -9.0, -1.0, 0.06) == "undecided"
