"""What a user's own files hold, as one small file per part of a run.

A rule that depends on the listing runs again when the content of any file behind it changes, whatever its time stamp
says; and no path of a user, which may hold spaces, quotes or braces, ever becomes a path of a rule.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from uscl_med3d.core.io import sha256, write_text
from uscl_med3d.core.store import list_parts

COLUMNS = ("video", "key_frames", "reference", "corrections")


def choose_delimiter(header: str) -> str:
    """What separates the columns of a table's first line: a comma, or what spreadsheets of other countries write."""
    return max(",;\t", key=lambda mark: (header.count(mark), mark == ","))


def list_cohort(cohort_csv: str | Path) -> list[Path]:
    """The table of a cohort, and every file or folder that it names and that is there.

    What is missing is not listed: the check before a run reports all of it at once.
    """
    table = Path(cohort_csv)
    found = [table]
    if table.is_file():
        # utf-8-sig: spreadsheet programs put a byte-order mark in front.
        with open(table, newline="", encoding="utf-8-sig", errors="replace") as stream:
            delimiter = choose_delimiter(stream.readline())
            stream.seek(0)
            for row in csv.DictReader(stream, skipinitialspace=True, delimiter=delimiter):
                cells = [(row.get(column) or "").strip() for column in COLUMNS]
                found += [table.parent / cell for cell in cells if cell]
    return list(dict.fromkeys(path for path in found if path.exists()))


def write_listing(path: Path, named: Iterable[Path], known: Path) -> None:
    """Write file -> SHA-256 of everything behind the named files and folders, if anything has changed.

    Args:
        path: of the listing (JSON). named: files and folders; of a header with detached pixels, those too.
        known: hashes of an earlier call, which hold as long as size, inode and both times of a file are the same.
    """
    cache = _read(known)
    kept: dict[str, Any] = {}
    for place in named:
        for file in list_parts(place):
            state = file.stat()
            # The time of the last change of the entry (ctime) cannot be set back by a copy that keeps times.
            key = [state.st_size, state.st_ino, state.st_mtime_ns, state.st_ctime_ns]
            entry = cache.get(str(file))
            kept[str(file)] = entry if entry and entry[0] == key else [key, sha256(file)]
    if kept != cache:
        write_text(known, json.dumps(kept) + "\n")
    text = json.dumps({name: kept[name][1] for name in sorted(kept)}, indent=1, ensure_ascii=False) + "\n"
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
