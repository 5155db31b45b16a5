"""dvc.yaml and the rules describe one DAG. What it is made from: tests/unit/core/test_stages.py."""

from __future__ import annotations

import re

import pytest
import yaml

from uscl_med3d.core.params.files import read_defaults

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def stages(smoke) -> dict:
    return yaml.safe_load((smoke.folder / "dvc.yaml").read_text())["stages"]


@pytest.fixture(scope="module")
def made_by(smoke) -> dict[str, str]:
    """Output file -> rule, of the default scale."""
    lines = smoke.run("snakemake", "--summary").splitlines()
    rows = [line.split("\t") for line in lines if line.startswith(("results/phantom/", "data/"))]
    return {row[0]: row[2] for row in rows}


def listed(stage: dict, key: str) -> list[str]:
    return [next(iter(item)) if isinstance(item, dict) else item for item in stage.get(key, [])]


def allowed_rules(stage: dict) -> set[str]:
    return set(re.search(r"--allowed-rules (.*?) --", stage["cmd"]).group(1).split())


def test_every_output_of_a_rule_belongs_to_the_stage_that_may_run_it(stages, made_by):
    assert len(made_by) > 100
    for path, rule in made_by.items():
        owners = [name for name, stage in stages.items() if rule in allowed_rules(stage)]
        assert len(owners) == 1, f"{rule} belongs to {owners}"
        outs = listed(stages[owners[0]], "outs") + listed(stages[owners[0]], "metrics")
        versioned_elsewhere = path.startswith("results/phantom/benchmarks/")
        assert versioned_elsewhere or any(path == out or path.startswith(f"{out}/") for out in outs), path


def test_every_versioned_output_is_made_by_a_rule(stages, made_by):
    for name, stage in stages.items():
        for out in listed(stage, "outs") + listed(stage, "metrics"):
            assert any(path == out or path.startswith(f"{out}/") for path in made_by), f"{name}: {out}"


def test_outputs_persist_because_snakemake_decides_what_runs(stages):
    for name, stage in stages.items():
        for item in stage.get("outs", []) + stage.get("metrics", []):
            assert next(iter(item.values()))["persist"] is True, f"{name}: {item}"


def test_parameters_of_a_stage_exist(stages, smoke):
    values = read_defaults(smoke.folder)
    for stage in stages.values():
        stated = [each if isinstance(each, dict) else {"params.yaml": [each]} for each in stage["params"]]
        for key in (name for files in stated for names in files.values() for name in names):
            node = values
            for part in key.split("."):
                node = node[part]
