from __future__ import annotations

from pathlib import Path

import pytest

from uscl_med3d.core.errors import InputError
from uscl_med3d.provenance.compare import compare

HEAD = "method,dataset,dice,ci_low,ci_high,n_patients,n_cases,volume_clicks,reported,reason"


def write(folder: Path, *rows: str) -> Path:
    folder.mkdir()
    (folder / "table4.csv").write_text("\n".join([HEAD, *rows]) + "\n")
    return folder


@pytest.fixture
def first(tmp_path):
    return write(tmp_path / "a", "SAM,3dus,50.1,49,51,4,8,10,46,", "SAM,AMOS,,,,0,0,,74,not scored")


@pytest.mark.parametrize(
    ("rows", "tolerance", "expected"),
    [
        (["SAM,3dus,50.1,49,51,4,8,10,46,", "SAM,AMOS,,,,0,0,,74,not scored"], 0, []),
        (["SAM,3dus,50.4,49,51,4,8,10,46,", "SAM,AMOS,,,,0,0,,74,not scored"], 0.5, []),
        (
            ["SAM,3dus,50.4,49,51,4,8,10,46,", "SAM,AMOS,,,,0,0,,74,not scored"],
            0.2,
            ["dice: 50.1 | 50.4, difference 0.3"],
        ),
        (["SAM,AMOS,,,,0,0,,74,not scored", "SAM,3dus,50.1,49,51,4,8,10,46,"], 0, []),
        (["SAM,3dus,50.1,49,51,4,8,10,46,", "SAM,AMOS,0,,,0,0,,74,not scored"], 9, ["dice: empty | 0"]),
        (
            ["SAM,3dus,50.1,49,51,4,8,10,46,", "SAM,AMOS,,,,0,0,,74,no run"],
            9,
            ["reason: not scored | no run"],
        ),
        (["SAM,3dus,50.1,49,51,4,8,10,46,"], 9, ["only in"]),
        (["SAM,3dus,nan,49,51,4,8,10,46,", "SAM,AMOS,,,,0,0,,74,not scored"], 9, ["dice: 50.1 | nan"]),
    ],
)
def test_cells_that_differ_are_listed(first, tmp_path, rows, tolerance, expected):
    lines = compare(first, write(tmp_path / "b", *rows), tolerance)
    assert len(lines) == len(expected)
    assert all(
        text in line and line.startswith("table4 · method=SAM")
        for line, text in zip(lines, expected, strict=True)
    )


def test_missing_table_is_a_difference(first, tmp_path):
    second = write(tmp_path / "b", "SAM,3dus,50.1,49,51,4,8,10,46,", "SAM,AMOS,,,,0,0,,74,not scored")
    (second / "table5.csv").write_text("rank,tuned_modules,dice\n8,both,1\n")
    assert compare(first, second, 0) == [f"table5: no file {first / 'table5.csv'}"]


def test_folder_without_tables_is_an_error(first, tmp_path):
    with pytest.raises(InputError, match="no table"):
        compare(first, tmp_path / "nowhere", 0)
