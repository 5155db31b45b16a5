"""The contact sheets of a whole cohort, for its report: what `inspect` shows, of every sweep of the table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from uscl_med3d.core.io import atomic, write_json
from uscl_med3d.core.reporting import SHEETS
from uscl_med3d.user.inspect import inspect_files


def write_sheets(job: Any, cohort: Path, out_dir: Path) -> None:
    """Write a folder with `<sweep>.png` of every sweep that can be read, and `sheets.json` with what was understood.

    Args:
        job: parameters of `ingest_sheets`. cohort: the table. out_dir: the folder.

    Raises:
        InputError: for a table that cannot be read at all. What is wrong with a sweep is listed, and is no error here:
            `ingest` says what comes of it.
    """
    with atomic(Path(out_dir)) as folder:
        folder.mkdir()
        found = inspect_files([Path(cohort)], None, job.fan, job.classes, folder)
        # The folder has another name by now.
        named = [one if one.sheet is None else replace(one, sheet=Path(one.sheet.name)) for one in found]
        write_json(folder / SHEETS, [one.as_dict() for one in named])
