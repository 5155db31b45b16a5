"""cohort.csv: every mistake is named, all in one go."""

from __future__ import annotations

from pathlib import Path

import pytest
from raw_files import COLUMNS

from uscl_med3d.core.errors import InputError, InputErrors
from uscl_med3d.data.cohort import raise_all, read_cohort

GOOD = {
    "patient": "p1",
    "sweep": "s1",
    "group": "chest",
    "view": "chest",
    "split": "train",
    "video": "a.mp4",
    "key_frames": "masks",
    "probe": "convex",
    "spacing_mm": "0.3",
    "frame_spacing_mm": "",
    "reference": "",
    "corrections": "",
}


def write(path: Path, *rows: dict[str, str]) -> Path:
    lines = [",".join(COLUMNS), *(",".join(row[name] for name in COLUMNS) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_good_row(tmp_path: Path) -> None:
    (row,), errors = read_cohort(write(tmp_path / "cohort.csv", GOOD))
    assert errors == []
    assert row.video == tmp_path / "a.mp4" and row.key_frames == tmp_path / "masks"
    assert row.spacing_mm == (0.3, 0.3) and row.frame_spacing_mm is None and row.reference is None


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("sweep", "../../etc", "letters, digits"),
        ("sweep", "a/b", "letters, digits"),
        ("sweep", "..", "letters, digits"),
        ("sweep", "", "letters, digits"),
        ("patient", "Müller Anna", "letters, digits"),
        ("group", "leg", "one of chest, abdomen"),
        ("view", "abdomen_right", "a view of the group 'chest'"),
        ("split", "training", "one of"),
        ("probe", "curved", "one of"),
        ("video", "", "path of a clip"),
        ("spacing_mm", "0.3mm", "positive number of millimetres"),
        ("spacing_mm", "-1", "positive number of millimetres"),
        ("spacing_mm", "nan", "positive number of millimetres"),
        ("frame_spacing_mm", "inf", "positive number of millimetres"),
        ("frame_spacing_mm", "0", "positive number of millimetres"),
    ],
)
def test_a_bad_cell(tmp_path: Path, column: str, value: str, expected: str) -> None:
    rows, errors = read_cohort(write(tmp_path / "cohort.csv", GOOD | {column: value}))
    assert rows == []
    message = "\n".join(map(str, errors))
    assert "line 2" in message and f"{column} is {value!r}" in message and expected in message


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path / "cohort.csv",
        GOOD,
        GOOD | {"split": "test"},
        GOOD | {"sweep": "s2", "split": "test"},
        GOOD | {"sweep": "s3", "patient": "p 3"},
    )
    _, errors = read_cohort(path)
    with pytest.raises(InputErrors) as caught:
        raise_all(path, errors)
    message = str(caught.value)
    assert "sweep 's1' on lines 2, 3" in message
    assert "patient 'p1' in the splits test, train" in message
    assert "patient is 'p 3'" in message
    assert "3 unusable input(s)" in message


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("patient,sweep,group,view\n", "missing: video"),
        ("patient,sweep,group,view,video,keyframes\n", "unknown: keyframes"),
        ("patient,sweep,group,view,video\n", "without rows"),
        ("", "missing: patient"),
        ("patient,sweep,group,view,video\np,s,chest\n", "line 2"),
        ("patient,sweep,group,view,video\np,s,chest,chest,a.mp4,too many\n", "line 2"),
        ('patient,sweep,group,view,video\np,s,chest,chest,"a.mp4\n', "unexpected end of data"),
    ],
)
def test_a_bad_table(tmp_path: Path, text: str, found: str) -> None:
    path = tmp_path / "cohort.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=found):
        read_cohort(path)


def test_a_missing_or_binary_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_cohort(tmp_path / "none.csv")
    (tmp_path / "cohort.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InputError, match=r"cohort\.csv"):
        read_cohort(tmp_path / "cohort.csv")


def test_optional_columns_may_be_absent_and_spreadsheets_may_mark_byte_order(tmp_path: Path) -> None:
    path = tmp_path / "cohort.csv"
    path.write_text("\ufeffpatient,sweep,group,view,video\np, s ,chest,chest,a.mp4\n", encoding="utf-8")
    (row,), errors = read_cohort(path)
    assert not errors and row.sweep == "s" and row.key_frames is None and row.split == ""


@pytest.mark.parametrize("mark", [";", "\t"])
def test_tables_of_other_countries_spreadsheets_are_read(mark: str, tmp_path: Path) -> None:
    from uscl_med3d.core.listing import list_cohort

    table = write(tmp_path / "cohort.csv", GOOD)
    table.write_text("\ufeff" + table.read_text().replace(",", mark), encoding="utf-8")
    (row,), errors = read_cohort(table)
    assert errors == [] and row.video == tmp_path / "a.mp4" and row.spacing_mm == (0.3, 0.3)
    (tmp_path / "a.mp4").write_bytes(b"clip")
    assert [path.name for path in list_cohort(table)] == ["cohort.csv", "a.mp4"]


@pytest.mark.parametrize("head", [b"PK\x03\x04", bytes.fromhex("d0cf11e0a1b11ae1")])
def test_a_workbook_is_named_as_such(head: bytes, tmp_path: Path) -> None:
    (tmp_path / "cohort.csv").write_bytes(head + b"\0" * 500)
    with pytest.raises(InputError, match=r"(?s)workbook of Excel.*save the sheet as CSV"):
        read_cohort(tmp_path / "cohort.csv")
