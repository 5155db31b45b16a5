"""dvc.lock against receipts: a method's options and tuning that the files were not made with are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from uscl_med3d.core.params import SLICES
from uscl_med3d.provenance.audit import _check_lock, job_file, slice_name

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


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("annotation/annotation", "annotation"),
        ("annotation/k2/pseudolabel", "annotation/k2"),
        ("annotation/k2/finetune/uscl_med3d_r8", "finetune/uscl_med3d_r8"),
        ("annotation/k2/evaluate/uscl_med3d_r8", "evaluate/uscl_med3d_r8"),
        ("search/search", "search"),
        ("search/full_tuning-2", "search/full_tuning-2"),
        ("evaluate/gate-check", "gate"),
        ("pretrain/vcl_r8", "pretrain/vcl"),
        ("report/figures/fig1", "figure/fig1"),
        ("report/tables", "report"),
        ("ingest/ingest", "ingest"),
        ("simulate/cohort", "simulate_cohort"),
    ],
)
def test_the_job_file_of_a_receipt(name, file):
    assert job_file(Path("results/a"), name) == Path(f"results/a/params/{file}.json")
    assert slice_name(name) in SLICES
