"""dvc.lock against receipts: a method's options and tuning that the files were not made with are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from uscl_med3d.core.params import SLICES
from uscl_med3d.provenance.audit import _check_lock, _check_lock_runs, job_file, slice_name

ENTRY = {
    "options": {"clicks": 10},
    "tuning": {"strategy": "full", "learning_rate": 0.001},
    "weights_of": None,
}


def compare(name, params, files):
    """What is said of one receipt, where dvc.lock holds the parameters `files` of its stage."""
    lock = {"stages": {name.partition("/")[0]: {"params": files}}}
    receipt = {"params": params, "inputs": {}, "outputs": {}}
    return [str(problem) for problem in _check_lock({name: receipt}, lock)]


def problems(change=None, file="params.yaml", others=None):
    """What is said of one fine-tune, where dvc.lock holds another value of `change`.

    file: where dvc.lock has the method. others: its parameters of other files.
    """
    recorded = ENTRY | ({change: {"learning_rate": 0.05}} if change else {})
    params = {"run": {"id": "a", "method": "a"}, "method": ENTRY}
    return compare("finetune/a", params, (others or {}) | {file: {"methods": {"a": recorded}}})


@pytest.mark.parametrize("change", ["options", "tuning"])
def test_other_values_of_a_method_are_named(change):
    (text,) = problems(change)
    assert "dvc.lock, stage finetune" in text and f"other {change} of a" in text


KEEPS_ITS_PLACE = {"params/methods.yaml": {"methods": {"b": ENTRY, "a": {}}}}
"""Of methods that params.yaml has, the other file has the key alone."""


@pytest.mark.parametrize(
    ("file", "others"),
    [("params.yaml", KEEPS_ITS_PLACE), ("params/methods.yaml", {"params.yaml": {"methods": {"b": ENTRY}}})],
)
def test_a_method_is_found_in_either_of_its_files(file, others):
    assert problems(None, file, others) == []
    (text,) = problems("tuning", file, others)
    assert "other tuning of a" in text


def test_a_section_is_found_in_its_own_file():
    def check(share):
        files = {
            "params.yaml": {"seed": 1},
            "params/simulate.yaml": {"simulate": {"cohort": {"share": share}}},
        }
        return compare("simulate/cohort", {"seed": 1, "cohort": {"share": 0.5}}, files)

    assert check(0.5) == []
    (text,) = check(0.6)
    assert "dvc.lock, stage simulate" in text and "simulate.cohort" in text


def test_runs_are_those_of_the_methods_of_both_files():
    entry = {"label": "", "takes": "clicks", "works_on": "crop", "base": None, "weights_of": None}
    entry |= {"trained": True, "datasets": ["us"], "grid": None, "options": {}}
    receipt = {"params": {"run": {"id": "a", "method": "a"}, "method": entry}, "inputs": {}, "outputs": {}}
    files = {"params.yaml": {"training_seeds": [0], "methods": {"a": entry}}}
    lock = {"stages": {"finetune": {"params": files}}}
    assert list(_check_lock_runs({"finetune/a": receipt}, lock["stages"], "finetune")) == []
    files["params/methods.yaml"] = {"methods": {"a": {}, "b": entry}}
    (problem,) = _check_lock_runs({"finetune/a": receipt}, lock["stages"], "finetune")
    assert "methods that give the runs b more" in str(problem)


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
