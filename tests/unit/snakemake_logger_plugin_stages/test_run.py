"""A run on the terminal: jobs per stage, time left, and the last words."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path

import pytest

from snakemake_logger_plugin_stages.display import Lines
from snakemake_logger_plugin_stages.run import STAGES, Run, rule_of, words
from uscl_med3d.core import spent
from uscl_med3d.core.params.files import read_defaults
from uscl_med3d.core.plan import Plan
from uscl_med3d.provenance.audit import list_planned

ROOT = Path(__file__).parents[3]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_jobs_are_counted_by_stage_in_the_order_of_the_pipeline(clock: Clock) -> None:
    run = Run(
        {
            "total": 9,
            "all": 1,
            "html": 1,
            "finetune": 2,
            "gate": 1,
            "evaluate": 2,
            "ingest": 1,
            "report_all": 1,
        },
        clock,
    )
    assert {name: stage.total for name, stage in run.stages.items()} == {
        "ingest": 1,
        "finetune": 2,
        "evaluate": 3,
        "report": 1,
    }
    run.begin(3, "finetune", "finetune: full_tuning", [])
    assert run.stages["finetune"].at_work == {3: "full_tuning"}
    run.finish(3)
    assert run.stages["finetune"].done == 1 and not run.stages["finetune"].at_work


def test_time_left_is_from_this_run_or_from_an_earlier_one(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for rule, seconds in (("finetune", 100), ("evaluate", 10)):
        monkeypatch.setattr(spent, "STARTED", time.monotonic() - seconds)
        spent.write_spent(tmp_path / f"receipts/{rule}/a.json")
    run = Run({"finetune": 2, "evaluate": 2}, clock)
    assert run.time_left() == "time left: not known yet"
    run.begin(1, "finetune", "finetune: a", [str(tmp_path / "receipts/finetune/a.json")])
    assert run.time_left() == "about 4 min left"  # 2 x 100 s and 2 x 10 s
    clock.now = 50.0
    run.finish(1)
    assert run.time_left() == "about 70 s left"  # 50 s, as this run shows, and 2 x 10 s
    for job, rule in ((2, "finetune"), (3, "evaluate"), (4, "evaluate")):
        run.begin(job, rule, None, [])
        run.finish(job)
    assert run.time_left() == ""


def test_every_receipt_of_the_default_run_has_a_rule(tmp_path: Path) -> None:
    plan = Plan(read_defaults(ROOT))
    assert {rule_of(name) for name in list_planned(plan)} <= set(chain(*STAGES.values()))
    assert rule_of("ingest/sheets") == "ingest_sheets" and rule_of("measure/ball") == "measure"


def test_two_jobs_at_a_time_halve_the_time(clock: Clock) -> None:
    run = Run({"finetune": 6}, clock)
    for job in (1, 2):
        run.begin(job, "finetune", None, [])
    clock.now = 10.0
    for job in (1, 2):
        run.finish(job)
    assert run.time_left() == "about 20 s left"


def test_kinds_of_jobs_of_which_nothing_is_known_are_said(clock: Clock) -> None:
    run = Run({"finetune": 2, "claims": 1}, clock)
    run.begin(1, "finetune", None, [])
    clock.now = 7.0
    run.finish(1)
    assert run.time_left() == "more than 7 s left"


def test_last_words_name_the_page_or_what_is_left(clock: Clock) -> None:
    run, stream = Run({"html": 1, "claims": 1}, clock), io.StringIO()
    lines = Lines(stream)
    run.begin(1, "claims", "report: claims", [])
    run.fail(1)
    assert run.summary() == [
        "Stopped after 0 s: 0 jobs done, 1 failed, 1 not done. The same command goes on from here."
    ]
    run = Run({"html": 1}, clock)
    lines.start(run)
    run.begin(1, "html", "report: page", ["results/x/report.html"])
    lines.update(run)
    clock.now = 3.0
    run.finish(1)
    lines.update(run)
    assert "results/x/report.html" in "\n".join(run.summary())
    assert stream.getvalue() == "1 job in 1 stage\nreport: 1 job\nreport: done in 3 s\n"


def test_rules_of_the_default_run_have_a_stage() -> None:
    """A new rule would be a line of its own, below the pipeline's."""
    text = "".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))
    rules = set(re.findall(r"^ *(?:rule|checkpoint) (\w+):", text, flags=re.MULTILINE))
    apart = {
        rule
        for rule in rules
        if rule.endswith("_all")
        or rule.startswith(("annotation", "search", "still", "usgra", "samus", "ssl"))
    }
    assert rules - apart == {rule for stage in STAGES.values() for rule in stage}


def test_times_in_words() -> None:
    assert [words(value) for value in (0.2, 48, 200, 3900)] == ["0 s", "48 s", "3 min", "1 h 05 min"]


def test_snakemake_takes_it_and_errors_come_with_the_jobs_log(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(
        'rule all:\n    input: "b"\n'
        'rule ingest:\n    output: "a"\n    message: "ingest: clips"\n    shell: "touch {output}"\n'
        'rule html:\n    input: "a"\n    output: "b"\n    log: "log.txt"\n    message: "report: page"\n'
        '    shell: "echo no such clip > {log}; false"\n'
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--logger", "stages"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    said = done.stderr.splitlines()
    assert done.returncode == 1
    assert said[:4] == [
        "2 jobs in 2 stages",
        "ingest: 1 job",
        "ingest: done in 0 s; time left: not known yet",
        "report: 1 job",
    ]
    assert "error in html: page" in said and "  no such clip" in said
    assert said[-1].startswith("Stopped after") and "1 job done, 1 failed" in said[-1]
    assert len(said) < 12
    assert list((tmp_path / ".snakemake/log").glob("*.log"))
