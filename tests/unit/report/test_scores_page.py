"""docs/scores.md names every column of the score files, and its example gives the number of the table."""

from __future__ import annotations

import re

import fake_run
import pandas as pd
import pytest

from uscl_med3d.core.scores import COLUMNS, read_score_file
from uscl_med3d.report.scores import HUMAN_REFERENCES, READ, read_scores
from uscl_med3d.report.tables import build_table
from uscl_med3d.report.tables.context import Context

PAGE = fake_run.ROOT / "docs" / "scores.md"


@pytest.fixture(scope="module")
def rows() -> dict[str, list[str]]:
    """Column -> its cells on the page, in order."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {line[0].strip("`"): line[1:] for line in cells}


def test_the_page_has_every_column_in_the_order_of_the_files(rows):
    assert tuple(rows) == COLUMNS


def test_every_column_has_meaning_unit_and_values(rows):
    for name, cells in rows.items():
        assert len(cells) == 3 and all(cells), name


def test_what_the_report_needs_is_on_the_page(rows):
    assert set(READ) <= set(rows)


def test_named_values_are_those_of_the_code(rows):
    from typing import get_args

    from uscl_med3d.core.params.evaluate import ClickSimulator, CropRule, Evaluate, Split

    units = get_args(Evaluate.model_fields["untracked_distance"].annotation)
    known = {
        "reference": HUMAN_REFERENCES,
        "crop": get_args(CropRule),
        "click_simulator": get_args(ClickSimulator),
        "split": get_args(Split),
        "distance_unit": units,
    }
    for column, values in known.items():
        named = set(re.findall(r"`([a-z0-9_]+)`", rows[column][2]))
        assert set(values) <= named, column


def test_the_example_gives_the_cell_of_the_table(run, monkeypatch, capsys):
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    (path,) = (one for one in run.scores if one.stem == "full_tuning")
    frame = read_score_file(path)
    with monkeypatch.context() as patched:
        patched.setattr(pd, "read_parquet", lambda name: frame)
        exec(code, {})
    table = build_table("table4", Context.of(run.job, read_scores(run.scores)))
    cell = table[(table["method"] == "full_tuning") & (table["dataset"] == "3dus")].iloc[0]
    assert float(capsys.readouterr().out) == pytest.approx(cell["dice"])
