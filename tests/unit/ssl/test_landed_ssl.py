"""What is kept in Git of target `ssl`: is it whole, and do receipts, job files and tables belong together?"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from uscl_med3d.core.io import read_json
from uscl_med3d.core.plan import Plan
from uscl_med3d.core.receipts import complete_params, hash_tree, read_receipts
from uscl_med3d.core.reporting import SSL_FIGURES, SSL_TABLES
from uscl_med3d.core.spent import find_spent
from uscl_med3d.ssl.claims import CHANCE, COLUMNS, CONTROL, NEGATIVE, NEGATIVES, NOT_TESTABLE, SUPPORTED

ROOT = Path(__file__).resolve().parents[3]
RESULTS, SSL = Path("results/phantom"), Path("results/phantom/ssl")
JOBS = {"pretrain": "ssl_pretrain", "cells": "ssl_cell", "frames": "ssl_frames"}
ALONE = {"metadata": "simulate_cohort", "tables": "ssl", "figures": "ssl", "page": "ssl"}
MOST_CPU_MINUTES = 25


@pytest.fixture(autouse=True)
def in_root(monkeypatch):
    monkeypatch.chdir(ROOT)
    if not (SSL / "receipts").is_dir():
        pytest.skip("no results of target ssl are here")


@pytest.fixture
def receipts() -> dict:
    return read_receipts(SSL)


def test_every_planned_job_has_run_or_is_named_as_missing(receipts):
    """The page says which parts of Table 8 are not there; everything else is."""
    plan = Plan.of_results("phantom").ssl
    wanted = {f"frames/{name}" for name in plan.arms} | set(ALONE)
    assert wanted <= set(receipts)
    missing = {name for name in plan.cells if f"cells/{name}" not in receipts}
    said = re.search(
        r"^.*Not run yet: (.*)\.$", Path("docs/ssl.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert missing == (set(re.findall(r"`(\w+)`", said[1])) if said else set())
    assert set(pd.read_csv(SSL / "table8.csv")["start"]) == set(plan.cells) - missing


def test_every_job_says_what_it_has_cost(receipts):
    spent = [read_json(find_spent(SSL / f"receipts/{name}.json")) for name in receipts]
    assert sum(job["cpu_seconds"] for job in spent) < MOST_CPU_MINUTES * 60
    assert max(job["peak_memory_mb"] for job in spent) < 6 * 1024


def name_clicks(values: dict) -> dict:
    """Before `finetune.clicks_at_once` had a name it was 1."""
    named = {key: name_clicks(value) if isinstance(value, dict) else value for key, value in values.items()}
    if isinstance(named.get("finetune"), dict):
        named["finetune"] = {"clicks_at_once": 1} | named["finetune"]
    return named


def test_receipts_have_the_parameters_of_the_job_files(receipts):
    for name, receipt in receipts.items():
        stage, _, job = name.partition("/")
        file = f"{JOBS[stage]}/{job}" if job else ALONE[name]
        given = complete_params(read_json(RESULTS / f"params/{file}.json"))
        assert name_clicks(given) == name_clicks(receipt["params"]), name


def test_files_are_those_that_their_jobs_wrote(receipts):
    for name, receipt in receipts.items():
        for path, expected in receipt["outputs"].items():
            if Path(path).exists():
                assert hash_tree(Path(path)) == expected, f"{name}: {path}"


def test_jobs_read_what_others_wrote(receipts):
    made = {}
    for of in (read_receipts(RESULTS), receipts):
        made |= {path: value for receipt in of.values() for path, value in receipt["outputs"].items()}
    used = [
        (path, value, name)
        for name, receipt in receipts.items()
        for path, value in receipt["inputs"].items()
        if path in made
    ]
    assert {path for path, _, _ in used} >= {f"{RESULTS}/volumes", f"{RESULTS}/pseudolabels"}
    for path, value, name in used:
        assert made[path] == value, f"{name} was made from another {path}"


def test_tables_and_figures_are_all_here(receipts):
    assert all((SSL / f"{name}.csv").is_file() for name in SSL_TABLES)
    figures = [SSL / f"figures/{name}{end}" for name in SSL_FIGURES for end in (".png", ".pdf")]
    assert all(file.is_file() for file in figures)
    assert set(receipts["figures"]["outputs"]) == {str(file) for file in figures}


def test_claims_say_nothing_of_frames_where_a_control_fails():
    claims = pd.read_csv(SSL / "claims.csv")
    assert list(claims) == COLUMNS
    verdicts = claims.set_index("claim")["verdict"]
    holds = verdicts[CONTROL] == SUPPORTED and SUPPORTED not in (verdicts[NEGATIVE], verdicts[CHANCE])
    frames = claims[claims["measure"].fillna("").str.startswith("AUROC")]
    frames = frames[~frames["claim"].isin([CONTROL, *NEGATIVES])]
    assert len(frames) and ((frames["verdict"] == NOT_TESTABLE) == (not holds)).all()
    tested = claims.dropna(subset=["estimate"])
    assert ((tested["ci_low"] <= tested["estimate"]) & (tested["estimate"] <= tested["ci_high"])).all()
