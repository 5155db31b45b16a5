"""Which way round a number is: ratios of cost, and what tuning adds or takes on each data set."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from uscl_med3d.report.claims.claim import Evidence
from uscl_med3d.report.claims.cost import MEASURED_CLAIMS, SIZE_CLAIMS
from uscl_med3d.report.figures import forgetting

METHODS = ("uscl_med3d", "full_tuning", "adaptformer", "sam_med3d")
CONTEXT = SimpleNamespace(
    job=SimpleNamespace(methods=dict.fromkeys(METHODS)),
    last_point=10,
    main_runs=lambda name: [SimpleNamespace(id=f"run_{name}")],
)


def decided(claims, name, evidence):
    return next(claim for claim in claims if claim.id == name).examine(evidence)


@pytest.mark.parametrize(("name", "ratio"), [("cost-time", 0.2), ("cost-memory", 2.0)])
def test_measured_cost_is_lora_to_full_tuning(name, ratio, tmp_path):
    rows = [("run_uscl_med3d", 100.0, 6.0), ("run_full_tuning", 500.0, 3.0)]
    table = pd.DataFrame(rows, columns=["run", "seconds", "peak_memory_gb"])
    table.to_csv(tmp_path / "training_cost.csv", index=False)
    found = decided(MEASURED_CLAIMS, name, Evidence(CONTEXT, tables_dir=tmp_path))
    assert found.estimate == pytest.approx(ratio)


def test_fewer_parameters_of_lora_support_and_more_contradict():
    sizes = {"run_uscl_med3d": 10, "run_full_tuning": 1000, "run_adaptformer": 4}
    evidence = Evidence(CONTEXT, sizes=sizes)
    small, large = (decided(SIZE_CLAIMS, name, evidence) for name in ("cost-parameters", "cost-adaptformer"))
    assert (small.estimate, small.verdict) == (pytest.approx(0.01), "supported")
    assert (large.estimate, large.verdict) == (pytest.approx(2.5), "contradicted")


@pytest.mark.parametrize("dataset", ["us", "brats"])
def test_forgetting_is_the_tuned_model_minus_the_base_on_the_named_set(dataset, monkeypatch):
    asked = []
    monkeypatch.setattr(forgetting, "measure", lambda context, contrast: asked.append(contrast))
    forgetting.difference_to_baseline(CONTEXT, "full_tuning", dataset)
    levels = [(one.weight, one.runs[0].id, one.dataset, one.click) for one in asked[0].levels]
    assert levels == [(1.0, "run_full_tuning", dataset, 10), (-1.0, "run_sam_med3d", dataset, 10)]
