from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from uscl_med3d.cli import main
from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import write_csv, write_json, write_text
from uscl_med3d.data.failures import write_failures
from uscl_med3d.data.splits import COLUMNS


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "results/mine"
    write_text(folder / "report.html", "<html></html>")
    write_text(folder / "tables/table1.csv", "a\n1\n")
    write_text(folder / "claims.csv", "id,verdict\na,supported\nb,undecided\nc,supported\n")
    write_json(folder / "gate.json", {"passed": False})
    sweeps = [f"s{number}" for number in range(9)]
    manifest = pd.DataFrame([(f"p{name}", name, "g", "v", "train") for name in sweeps], columns=COLUMNS)
    write_csv(tmp_path / "data/splits/mine.csv", manifest[2:])
    problem = InputError(file="a.mp4", found="1 frame", expected="more", remedy="export it again")
    write_failures(folder / "failures.csv", manifest, {"s0": [problem, problem], "s1": [problem]})
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_run_in_a_few_lines(results: Path, capsys) -> None:
    assert main(["report", "--scale", "mine"]) == 0
    said = capsys.readouterr().out
    assert (
        "7 used, 2 left out: the run is not complete" in said
        and "not passed" in said
        and "2 supported, 1 undecided" in said
    )
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
