"""The rules follow Snakemake's own advice."""

from __future__ import annotations

from checkout import copy_repository

EXPLAINED = {
    # All rules share the one environment that requirements.lock pins and `make env` makes.
    "* Specify a conda environment or container for each rule.:",
}


def test_snakemake_lint_finds_only_what_is_explained(tmp_path):
    output = copy_repository(tmp_path).run("snakemake", "--lint", ok=False)
    lines = [line.strip() for line in output.splitlines()]
    assert any(line.startswith("Lints for rule") for line in lines), output
    assert {line for line in lines if line.startswith("* ")} <= EXPLAINED
