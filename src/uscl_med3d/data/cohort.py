"""cohort.csv: one row per sweep, as a researcher writes it."""

from __future__ import annotations

import csv
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from uscl_med3d.core.errors import InputError, InputErrors
from uscl_med3d.core.listing import choose_delimiter
from uscl_med3d.data.annotations.naming import ClipNames, name_clip
from uscl_med3d.data.splits import SPLITS

REQUIRED = ("patient", "sweep", "group", "view", "video")
OPTIONAL = ("split", "key_frames", "probe", "spacing_mm", "frame_spacing_mm", "reference", "corrections")
IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,100}")
# What programs for tables write where a value is missing: several patients with it would become one.
MISSING = frozenset({"na", "nan", "-nan", "null", "none", "nil"})
CHOICES = {
    "group": ("chest", "abdomen", "breast", "heart", "neck"),
    "view": (
        "chest",
        "abdomen_right",
        "abdomen_left",
        "breast",
        "heart_2ch",
        "heart_4ch",
        "neck_right",
        "neck_left",
    ),
    "split": ("", *SPLITS),
    "probe": ("", "convex", "linear", "sector"),
}


@dataclass(frozen=True)
class CohortRow:
    """One sweep of a cohort. Paths start at the folder of cohort.csv; None where the cell is empty.

    spacing_mm: of the clip's pixels, (h, w).
    """

    line: int
    patient: str
    sweep: str
    group: str
    view: str
    split: str
    probe: str
    source: str
    video: Path
    key_frames: Path | None
    reference: Path | None
    spacing_mm: tuple[float, float] | None
    frame_spacing_mm: float | None
    corrections: Path | None = None


def read_cohort(path: str | Path) -> tuple[list[CohortRow], list[InputError]]:
    """Rows of a cohort table that parse, and one `InputError` per problem of the table itself.

    Files that the rows name are not looked at. Raises `InputError` where the table cannot be read at all.
    """
    path = Path(path)
    records = _read_table(path)
    rows: list[CohortRow] = []
    errors: list[InputError] = []
    for line, record in records:
        row, found = _parse_row(path, line, record)
        errors += found
        if row is not None:
            rows.append(row)
    errors += _check_unique(path, [(line, record["sweep"]) for line, record in records])
    errors += _check_case(path, "patient", [record["patient"] for _, record in records])
    errors += _check_case(path, "sweep", [record["sweep"] for _, record in records])
    errors += _check_patients(path, rows)
    return rows, errors


def name_clips(rows: list[CohortRow]) -> dict[str, ClipNames]:
    """Sweep -> names of its clip and of the cohort's others, by which annotations say what they belong to."""
    ids = {row.sweep: (row.sweep, row.patient, row.source) for row in rows}
    return {
        sweep: name_clip(*own, [other for name, other in ids.items() if name != sweep])
        for sweep, own in ids.items()
    }


def list_shared(rows: list[CohortRow]) -> dict[Path, list[str]]:
    """Paths of annotations that rows of different clips name, with their sweeps."""
    found: dict[Path, dict[str, Path]] = {}
    for row in rows:
        for path in (row.key_frames, row.corrections, row.reference):
            if path is not None:
                found.setdefault(path, {})[row.sweep] = row.video
    return {path: sorted(users) for path, users in found.items() if len(set(users.values())) > 1}


def raise_all(path: str | Path, errors: list[InputError]) -> None:
    """Raise all problems as one `InputErrors`; nothing where there are none."""
    if errors:
        raise InputErrors(
            errors,
            file=path,
            remedy="repair everything listed above, then run the same command again; "
            "nothing was written, and finished outputs are untouched",
        )


def _read_table(path: Path) -> list[tuple[int, dict[str, str]]]:
    expected = f"a CSV table with the columns {', '.join(REQUIRED)} (optional: {', '.join(OPTIONAL)})"
    remedy = "see docs/own_cohort.md for a template"
    _refuse_workbook(path, expected)
    try:
        # utf-8-sig: spreadsheets put a byte order mark in front of the first column's name.
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        reader = csv.DictReader(lines, strict=True, delimiter=choose_delimiter(lines[0] if lines else ""))
        records = [(reader.line_num, record) for record in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(file=path, found=str(error), expected=expected, remedy=remedy) from error
    columns = reader.fieldnames or []
    missing = [name for name in REQUIRED if name not in columns]
    unknown = [str(name) for name in columns if name not in REQUIRED + OPTIONAL]
    if missing or unknown or len(set(columns)) < len(columns):
        found = f"columns {', '.join(map(str, columns)) or '(none)'}"
        found += f"; missing: {', '.join(missing)}" if missing else ""
        found += f"; unknown: {', '.join(unknown)}" if unknown else ""
        raise InputError(file=path, found=found, expected=expected, remedy=remedy)
    for line, record in records:
        if None in record or None in record.values():
            raise InputError(
                file=path,
                found=f"line {line}: another number of cells than the header",
                expected=expected,
                remedy="fill the line up with commas, and quote cells that contain one",
            )
    if not records:
        raise InputError(file=path, found="a table without rows", expected="one row per sweep", remedy=remedy)
    return [(line, {key: (value or "").strip() for key, value in record.items()}) for line, record in records]


def _refuse_workbook(path: Path, expected: str) -> None:
    """Raise `InputError` for a spreadsheet's own file, whatever its suffix."""
    if not path.is_file():
        return
    with open(path, "rb") as stream:
        head = stream.read(8)
    if head[:4] == b"PK\x03\x04" or head == bytes.fromhex("d0cf11e0a1b11ae1"):
        raise InputError(
            file=path,
            found="a workbook of Excel or LibreOffice",
            expected=expected,
            remedy="save the sheet as CSV (UTF-8) and name that file",
        )


def _parse_row(path: Path, line: int, record: dict[str, str]) -> tuple[CohortRow | None, list[InputError]]:
    record = dict.fromkeys(OPTIONAL, "") | record
    errors: list[InputError] = []

    def complain(column: str, expected: str, remedy: str) -> None:
        found = f"line {line} (sweep {record['sweep']!r}): {column} is {record[column]!r}"
        errors.append(InputError(file=path, found=found, expected=expected, remedy=remedy))

    for column in ("patient", "sweep"):
        if not IDENTIFIER.fullmatch(record[column]):
            complain(column, "letters, digits, _ and - only", "rename it; ids become file names")
        elif record[column].casefold() in MISSING:
            complain(
                column, "an id; this is how programs write that there is none", "give an id, or another one"
            )
    for column, choices in CHOICES.items():
        if record[column] not in choices:
            complain(column, f"one of {', '.join(c or '(empty)' for c in choices)}", "correct the cell")
    if not record["view"].startswith(record["group"]):
        complain("view", f"a view of the group {record['group']!r}", "correct group or view")
    if not record["video"]:
        complain("video", "the path of a clip, relative to cohort.csv", "fill the cell, or remove the row")
    # "0.3", or "0.073 0.2": the height and the width of a pixel.
    sides = [_number(text) for text in record["spacing_mm"].split()]
    frame_spacing_mm = _number(record["frame_spacing_mm"])
    correct = "correct the cell; leave it empty if unknown"
    if len(sides) > 2 or None in sides:
        complain(
            "spacing_mm", "a positive number of millimetres (or two: height and width), or empty", correct
        )
    if record["frame_spacing_mm"] and frame_spacing_mm is None:
        complain("frame_spacing_mm", "a positive number of millimetres, or empty", correct)
    if record["corrections"] and not record["key_frames"]:
        complain("corrections", "empty where key_frames is empty", "name the frames in the column key_frames")
    if errors:
        return None, errors
    folder = path.parent
    return CohortRow(
        line=line,
        patient=record["patient"],
        sweep=record["sweep"],
        group=record["group"],
        view=record["view"],
        split=record["split"],
        probe=record["probe"],
        source=record["video"],
        video=folder / record["video"],
        key_frames=folder / record["key_frames"] if record["key_frames"] else None,
        reference=folder / record["reference"] if record["reference"] else None,
        spacing_mm=cast(tuple[float, float], (sides[0], sides[-1])) if sides else None,
        frame_spacing_mm=frame_spacing_mm,
        corrections=folder / record["corrections"] if record["corrections"] else None,
    ), []


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def _check_unique(path: Path, sweeps: list[tuple[int, str]]) -> list[InputError]:
    lines: dict[str, list[int]] = {}
    for line, sweep in sweeps:
        lines.setdefault(sweep, []).append(line)
    return [
        InputError(
            file=path,
            found=f"sweep {sweep!r} on lines {', '.join(map(str, where))}",
            expected="one row per sweep id",
            remedy="give every sweep its own id",
        )
        for sweep, where in sorted(lines.items())
        if len(where) > 1
    ]


def _check_case(path: Path, column: str, ids: list[str]) -> list[InputError]:
    """Ids that differ by case alone: one patient would be two, in two splits, and two sweeps one file on some disks."""
    written: dict[str, set[str]] = {}
    for name in ids:
        written.setdefault(name.casefold(), set()).add(name)
    return [
        InputError(
            file=path,
            found=f"{column} ids that differ by case alone: {', '.join(map(repr, sorted(names)))}",
            expected="one spelling of each id",
            remedy="write the id in one way, or give different ids",
        )
        for _, names in sorted(written.items())
        if len(names) > 1
    ]


def list_clips_of_several(rows: list[CohortRow]) -> list[str]:
    """What to say of clips that stand in the rows of several patients, whichever way their paths are written.

    In two splits such a clip trains and tests at once. It is said and not refused: a table may be a trial.
    """
    users: dict[Path, dict[str, str]] = {}
    for row in rows:
        users.setdefault(Path(os.path.realpath(row.video)), {})[row.sweep] = row.patient
    return [
        f"one clip in the rows of several patients: {', '.join(sorted(sweeps))} ({clip.name}); scores mean nothing if it "
        "trains and tests"
        for clip, sweeps in sorted(users.items())
        if len(set(sweeps.values())) > 1
    ]


def _check_patients(path: Path, rows: list[CohortRow]) -> list[InputError]:
    splits: dict[str, set[str]] = {}
    for row in rows:
        splits.setdefault(row.patient, set()).update({row.split} - {""})
    return [
        InputError(
            file=path,
            found=f"patient {patient!r} in the splits {', '.join(sorted(found))}",
            expected="one split per patient",
            remedy="give all sweeps of the patient the same split",
        )
        for patient, found in sorted(splits.items())
        if len(found) > 1
    ]
