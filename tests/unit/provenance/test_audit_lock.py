"""dvc.lock against receipts: a method's options and tuning that the files were not made with are named."""

from __future__ import annotations

import pytest

from uscl_med3d.provenance.audit import _check_lock

ENTRY = {
    "options": {"clicks": 10},
    "tuning": {"strategy": "full", "learning_rate": 0.001},
    "weights_of": None,
}


def problems(change=None):
    """What is said of one fine-tune, where dvc.lock holds another value of `change`."""
    receipt = {"params": {"run": {"id": "a", "method": "a"}, "method": ENTRY}, "inputs": {}, "outputs": {}}
    recorded = ENTRY | ({change: {"learning_rate": 0.05}} if change else {})
    lock = {"stages": {"finetune": {"params": {"params.yaml": {"methods": {"a": recorded}}}}}}
    return [str(problem) for problem in _check_lock({"finetune/a": receipt}, lock)]


@pytest.mark.parametrize("change", ["options", "tuning"])
def test_other_values_of_a_method_are_named(change):
    (text,) = problems(change)
    assert "dvc.lock, stage finetune" in text and f"other {change} of a" in text


def test_the_same_values_are_no_problem():
    assert problems() == []
