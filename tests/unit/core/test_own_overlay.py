"""A cohort of one's own: one adapter by default, the benchmark on request, whatever else the overlay says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.files import overlay, read_defaults
from uscl_med3d.core.plan import Plan
from uscl_med3d.core.reporting import OWN_TABLES, TABLES
from uscl_med3d.provenance.audit import list_planned

ROOT = Path(__file__).resolve().parents[3]
OWN: dict[str, Any] = {"scale": "mine", "cohort": "my_cohort/cohort.csv"}


def plan_own(**changes: Any) -> Plan:
    """The plan of an own cohort, as the Snakefile lays its values over each other."""
    between = yaml.safe_load((ROOT / "params/own_cohort.yaml").read_text(encoding="utf-8"))
    return Plan(overlay(overlay(read_defaults(ROOT), between), OWN | changes))


def test_the_default_is_one_adapter_and_its_base_model():
    plan = plan_own()
    assert list(plan.runs) == ["sam_med3d", "uscl_med3d_r32_both_vcl"] and plan.trained == [
        "uscl_med3d_r32_both_vcl"
    ]
    assert list(plan.pretrainings) == ["vcl_r32"] and plan.foundations == ["sam_med3d", "seggpt"]
    assert plan.params.benchmark is False and plan.tables == OWN_TABLES
    # Neither CT nor MR is simulated, read or scored.
    assert plan.simulated_sets == plan.general_folders == []
    assert all(run.datasets == ("us",) for run in plan.runs.values())
    names = list_planned(plan)
    assert "ingest/sheets" in names and "report/claims" not in names and "simulate/general" not in names


def test_full_tuning_on_request():
    plan = plan_own(compared=["sam_med3d", "uscl_med3d", "full_tuning"])
    assert plan.trained == ["uscl_med3d_r32_both_vcl", "full_tuning"]


def test_the_benchmark_on_request():
    plan = Plan(overlay(read_defaults(ROOT), OWN | {"benchmark": True}))
    assert len(plan.runs) > 5 * len(plan_own().runs) and plan.tables == TABLES
    assert {"report/claims", "ingest/sheets"} <= set(list_planned(plan))


def test_a_simulated_cohort_is_the_benchmark():
    plan = Plan(read_defaults(ROOT))
    assert (
        plan.params.benchmark is True and plan.tables == TABLES and "ingest/sheets" not in list_planned(plan)
    )


def test_the_snakefile_reads_the_file_where_a_plan_of_it_would_not_know():
    """Both conditions stand in the Snakefile alone, because Snakemake lays the user's values over it."""
    text = (ROOT / "Snakefile").read_text(encoding="utf-8")
    (condition, file) = re.findall(r'^if (config.*):\n\n    configfile: "(.*)"', text, re.MULTILINE)[0]
    assert file == "params/own_cohort.yaml"
    for cohort, benchmark, expected in (
        ("simulate", None, False),
        ("x.csv", None, True),
        ("x.csv", True, False),
    ):
        assert bool(eval(condition, {"config": {"cohort": cohort, "benchmark": benchmark}})) is expected


def test_a_plan_from_its_own_dump_is_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = plan_own(classes={"nerve": 1, "vessel": 2})
    plan.write_job_files()
    again = Plan.of_results("mine")
    assert again.params == plan.params
    assert (tmp_path / "results/mine/params/ingest_sheets.json").is_file()
    assert not list((tmp_path / "results/mine/params").glob("foundation_[!s]*"))


def test_unknown_methods_are_named():
    with pytest.raises(InputError, match="usclmed3d"):
        plan_own(compared=["sam_med3d", "usclmed3d"])


def test_a_base_model_to_be_trained_needs_its_sets():
    with pytest.raises(InputError, match="no set in `general`"):
        plan_own(foundation={"sam_med3d": {"weights": "train"}})
    made = plan_own(
        foundation={"sam_med3d": {"weights": "train"}},
        general={"amos": "simulate", "totalsegmentator": "simulate", "brats": "simulate"},
    )
    assert len(made.simulated_sets) == 3


def test_every_overlay_of_the_page_is_valid_and_small():
    page = (ROOT / "docs/own_cohort.md").read_text(encoding="utf-8")
    found = [
        yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    ]
    assert OWN in found and len(found) > 1
    for values in found:
        if not values.get("benchmark"):
            plan = plan_own(**values)
            assert set(plan.params.figures.colours) >= set(plan.params.classes) and len(plan.trained) <= 2
