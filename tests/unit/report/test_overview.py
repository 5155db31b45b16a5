from __future__ import annotations

import json
from pathlib import Path

import pytest

from uscl_med3d.cli import main
from uscl_med3d.core.io import write_json, write_text


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "results/mine"
    write_text(folder / "report.html", "<html></html>")
    write_text(folder / "tables/table1.csv", "a\n1\n")
    write_text(folder / "claims.csv", "id,verdict\na,supported\nb,undecided\nc,supported\n")
    write_json(folder / "gate.json", {"passed": False})
    write_json(folder / "complete.json", {"sweeps_used": 7, "sweeps_left_out": 2})
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_run_in_a_few_lines(results: Path, capsys) -> None:
    assert main(["report", "--scale", "mine"]) == 0
    said = capsys.readouterr().out
    assert "7 used, 2 left out" in said and "not passed" in said and "2 supported, 1 undecided" in said
    assert (
        "results/mine/report.html" in said and "1 in results/mine/tables/" in said and "Figures" not in said
    )


def test_the_same_for_a_script(results: Path, capsys) -> None:
    assert main(["report", "--scale", "mine", "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert read["claims"] == {"supported": 2, "undecided": 1} and read["gate_passed"] is False


def test_without_a_run_the_scales_that_are_there_are_named(results: Path, capsys) -> None:
    assert main(["report", "--scale", "other"]) == 2
    assert "mine" in capsys.readouterr().err
