"""Nothing is done twice, and after a change exactly what depends on it, in Snakemake and in DVC alike."""

from __future__ import annotations

import json

import pytest
from repository import COLOURED, COST, JUDGED, REPORT, STEPS_CHANGED, count_started, measure

CHANGES = {
    "a rank added": (
        "methods.uscl_med3d.grid.ranks",
        [8, 16],
        # No picture shows a run of another rank than the main one.
        {"pretrain": 1, "finetune": 1, "evaluate": 1}
        | JUDGED
        | {rule: count for rule, count in REPORT.items() if rule != "figure_inputs"},
    ),
    "fewer epochs": (
        "finetune.steps",
        2,
        # Two fine-tunes, ball and atlas, which read the section, and their scores; the base model stays as it is.
        {"finetune": 4} | STEPS_CHANGED | {"evaluate": 4},
    ),
    "colour of a class": (
        "figures.colours.liver",
        "#000000",
        COLOURED,
    ),
    "click seeds": (
        "evaluate.click_seeds",
        [1],
        {"evaluate": 6, "measure": 1} | JUDGED | REPORT,
    ),
    "VCL momentum": (
        "pretrain.tasks.vcl.momentum",
        0.5,
        {"pretrain": 1, "finetune": 1, "evaluate": 1, "measure": 1} | JUDGED | REPORT,
    ),
}

STARTED = {"fewer epochs": {"evaluate": STEPS_CHANGED["evaluate"]}}
"""Where fewer jobs are started than planned."""


def test_second_run_does_nothing_within_five_seconds(finished):
    """Processor seconds: what else the machine does is no part of the promise."""
    with measure("second `snakemake --cores all`") as first:
        output = finished.run("snakemake", "--cores", "2")
    assert "Nothing to be done" in output
    with measure("second `dvc repro`") as second:
        assert finished.repro() == {}
    assert finished.idle_in_dvc() == "Data and pipelines are up to date."
    assert first.processor <= 5 and second.processor <= 5


def test_finished_run_is_honest_and_nothing_is_left_to_commit(finished):
    assert "agree" in finished.run("uscl-med3d", "audit")
    assert finished.run("git", "status", "--porcelain") == ""


@pytest.mark.parametrize("name", CHANGES)
def test_change_of_a_parameter_runs_exactly_what_depends_on_it(copy, name):
    key, value, expected = CHANGES[name]
    copy.change(key, value)
    assert copy.planned() == expected
    with measure(f"`dvc repro` after: {name}"):
        assert copy.repro() == expected | STARTED.get(name, {})
    assert copy.planned() == {} and copy.repro() == {}
    assert "agree" in copy.run("uscl-med3d", "audit")


UNCHANGED = {rule: count for rule, count in REPORT.items() if rule not in (*COST, "figure_inputs")}
"""Jobs of the stage `report` after a change of scores alone."""


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("report/claims/cost.py", {"claims": 1, "cost_claims": 1, "html": 1, "complete": 1, "run_cost": 1}),
        ("report/figures/fig4.py", {"figure": 1, "html": 1, "complete": 1, "run_cost": 1}),
        (
            "pseudolabel/quality.py",
            {"pseudolabel": 1, "finetune": 4, "evaluate": 6, "measure": 1} | JUDGED | REPORT,
        ),
        ("methods/nearest_key_frame.py", {"evaluate": 1} | UNCHANGED),
        ("provenance/trace.py", {}),
        ("bench/encoder.py", {}),
        ("core/params/report.py", {}),
    ],
)
def test_edit_of_a_module_runs_only_the_rules_that_import_it(copy, module, expected):
    with open(copy.folder / "src/uscl_med3d" / module, "a") as stream:
        stream.write("\n# a remark\n")
    assert copy.planned() == expected


def test_dvc_names_what_changed(copy):
    """`dvc params diff` and `dvc metrics diff` after a change; learning curves in `dvc plots`."""
    copy.change("methods.full_tuning.tuning.learning_rate", 0.05)
    copy.repro()
    changed = json.loads(copy.run("dvc", "params", "diff", "--json"))["params.yaml"]
    assert changed == {"methods.full_tuning.tuning.learning_rate": {"old": 0.001, "new": 0.05, "diff": 0.049}}
    cells = json.loads(copy.run("dvc", "metrics", "diff", "--json"))["results/phantom/metrics.json"]
    assert cells and all("full" in name for name in cells), cells
    copy.run("dvc", "plots", "show")
    page = (copy.folder / "dvc_plots/index.html").read_text()
    assert "validation_dice" in page and "validation_loss" in page


def test_experiment_runs_what_depends_on_its_parameter(copy):
    key = "methods.uscl_med3d.tuning.learning_rate"
    output = copy.run("dvc", "exp", "run", "--name", "slower", "--set-param", f"{key}=0.0005")
    assert count_started(output) == {"finetune": 1, "evaluate": 1, "measure": 1} | JUDGED | REPORT
    shown = json.loads(copy.run("dvc", "exp", "show", "--json"))
    names = (
        {row["name"] for row in shown[-1]["experiments"][0]["revs"]}
        if shown[-1].get("experiments")
        else set()
    )
    assert "slower" in names | {row.get("name") for row in shown}
