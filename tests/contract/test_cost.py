"""The cost of every method of the registry can be measured, present and future."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_cohort import tiny_params

from uscl_med3d.core.runs import list_runs, main_run
from uscl_med3d.evaluate import cost
from uscl_med3d.methods.base import Weights
from uscl_med3d.methods.registry import find_method, list_methods

ENTRIES = tiny_params().methods
METHODS = [name for name in list_methods() if name in ENTRIES]


@pytest.fixture
def measured(base_weights, cohort, make_job, tmp_path_factory):
    """Name -> what was measured; trained methods and their adapters start fresh."""
    folder = tmp_path_factory.mktemp("cost")

    def measure(name):
        entry = ENTRIES[name]
        run = main_run(name, entry)
        if entry.weights_of or (
            entry.grid and next(r for r in list_runs(ENTRIES, [0]) if r.id == run).pretraining
        ):
            source = entry.weights_of or name
            run = next(
                r.id
                for r in list_runs(ENTRIES, [0])
                if r.method == source and r.pretraining is None and (r.rank or ENTRIES[source].grid is None)
            )
        job = make_job("measure", run, measure__least_passes=1, measure__most_passes=2)
        file = folder / f"{name}.json"
        cost.measure_cost(job, cohort.volumes, cohort.splits, Weights(base_weights(entry.base)), file)
        return json.loads(file.read_text())

    return measure


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_cost(name, measured):
    found, method = measured(name), find_method(name)
    assert (found["takes"], found["works_on"]) == (method.takes, method.works_on)
    assert found["first_click_seconds"] > 0
    clicked = method.takes == "clicks"
    assert (found["further_click_seconds"] is not None) == clicked
    assert (found["clicks_per_volume"] > 0) == clicked
    if method.works_on == "slice":
        assert found["clicks_per_volume"] > 1
    assert (found["trainable_parameters"] is not None) == ENTRIES[found["method"]].trained
    assert found["peak_memory_mb"] >= found["before_loading_mb"] > 0
    assert (found["encoder_gflop"] > 0) == (found["total_parameters"] > 0)


def test_counts_are_those_of_the_network(measured):
    base, full = measured("sam_med3d"), measured("full_tuning")
    assert full["trainable_parameters"] == full["total_parameters"] == base["total_parameters"]
    lora = measured("uscl_med3d")
    assert lora["trainable_parameters"] == lora["total_parameters"] - base["total_parameters"]
    assert measured("fastsam3d")["encoder_gflop"] < base["encoder_gflop"]


def test_operations_are_counted():
    a, b = torch.randn(100, 200), torch.randn(200, 300)
    assert math.isclose(cost.count_gflop(lambda: a @ b), 2 * 100 * 200 * 300 / 1e9)


def test_subject_is_the_longest_target_of_the_first_test_sweep(cohort, make_job):
    job = make_job("measure", "sam_med3d")
    subject = cost.choose_subject(job, cohort.volumes, cohort.splits)
    assert subject.case == "s_e1" and subject.name in ("liver", "spleen")
    clicks = cost.make_clicks(subject, job)
    assert len(clicks) == job.evaluate.clicks and all(subject.target[click[:3]] for click in clicks)


def test_a_cohort_without_annotation_still_has_a_subject(cohort, make_job, tmp_path):
    lines = cohort.splits.read_text().splitlines()
    splits = tmp_path / "splits.csv"
    splits.write_text("\n".join([lines[0], *(line for line in lines if "s_e3" in line)]) + "\n")
    subject = cost.choose_subject(make_job("measure", "sam_med3d"), cohort.volumes, splits)
    assert subject.case == "s_e3" and subject.key_frames is None and 0 < subject.target.mean() < 0.5


@pytest.mark.parametrize(("seconds", "passes"), [(0.01, 30), (0.5, 7), (20.0, 3), (50.0, 2)])
def test_quick_methods_are_repeated_more(seconds, passes, make_job, monkeypatch):
    clock = iter(np.arange(1000) * seconds)
    monkeypatch.setattr(cost, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    calls = []
    settings = make_job("measure", "sam_med3d", measure__enough_seconds=3.0).measure
    assert len(list(cost.repeat(lambda: calls.append(1), settings))) == passes and len(calls) == 1
