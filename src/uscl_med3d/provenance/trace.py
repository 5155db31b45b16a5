"""Where a number of a table comes from: every job behind it, its files with their hashes, parameters, code commit.

`uscl-med3d trace table3` prints every cell of a table; `key=value` arguments choose cells
(`uscl-med3d trace table1 method=USCL-Med3D points=10 class=liver`). Reads receipts (`core.receipts`).
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params import load_job
from uscl_med3d.core.receipts import find_maker, hash_tree, read_receipts
from uscl_med3d.provenance.audit import job_file
from uscl_med3d.provenance.origins import count_modules, describe_numerics
from uscl_med3d.report.tables import TABLES
from uscl_med3d.report.tables.context import Context
from uscl_med3d.report.tables.layout import value_column


def trace(table: str, wanted: Sequence[str], scale: str) -> str:
    """The provenance of the cells of one table, as text.

    Args:
        table: `table1` ...
        wanted: `key=value` pairs over the table's key columns; cells must match all of them.
        scale: whose results.

    Raises:
        InputError: for an unknown table, column or scale, or when no cell matches.
    """
    results = Path("results", scale)
    rows, module = _read(table, results), TABLES[table]
    for pair in wanted:
        key, _, value = pair.partition("=")
        if key not in module.KEYS:
            raise InputError(
                file=table,
                found=f"{pair!r}",
                expected=f"one of {', '.join(module.KEYS)}, as key=value",
                remedy="correct the argument",
            )
        rows = rows[rows[key].astype(str) == value]
    if rows.empty:
        raise InputError(
            file=table,
            found=f"no cell with {' and '.join(wanted)}",
            expected="values of the table",
            remedy=f"look at {results / 'tables' / table}.csv",
        )
    context = Context.empty(load_job("report", results / "params/report.json"))
    # Cells of the same runs share one block.
    blocks: dict[tuple[str, ...], list[str]] = {}
    for record in rows.to_dict("records"):
        source = module.source(context, {key: record[key] for key in module.KEYS})
        name = " · ".join(f"{key}={record[key]}" for key in module.KEYS)
        value = record[value_column(module)]
        if pd.isna(value):
            text = f"{name}: – ({record['reason']})"
        else:
            text = f"{name}: {value:.2f} [{record['ci_low']:.2f}, {record['ci_high']:.2f}]"
        blocks.setdefault(tuple(run.id for run in source.runs), []).append(text)
    lines: list[str] = []
    for runs, cells in blocks.items():
        lines += [*cells, *(f"    {line}" for run in runs for line in describe_run(results, run)), ""]
    return "\n".join(lines)


def describe_run(results: Path, run: str) -> Iterator[str]:
    """Everything that made the scores of a run, by the receipts of the jobs: every job with its files and hashes."""
    receipts = read_receipts(results)
    waiting, seen = [f"evaluate/{run}"], set()
    if waiting[0] not in receipts:
        yield f"no receipt of {waiting[0]}: the run was not made by this version of the pipeline"
        return
    while waiting:
        name = waiting.pop(0)
        receipt = receipts[name]
        seen.add(name)
        versions = ", ".join(f"{library} {version}" for library, version in receipt["libraries"].items())
        yield f"{name}: parameters {_short(_hash(receipt['params']))} in {job_file(results, name)}"
        yield f"    code {_short(receipt['code']['sha256'])} ({count_modules(receipt)} modules), {versions}"
        yield f"    numerics {describe_numerics(receipt)}"
        for arrow, kind in (("made", "outputs"), ("from", "inputs")):
            for path, digest in receipt[kind].items():
                yield f"    {arrow} {path}  sha256 {_short(digest)}{_state(path, digest)}"
        makers = [find_maker(receipts, path) for path in receipt["inputs"]]
        waiting += [
            maker for maker in dict.fromkeys(makers) if maker and maker not in seen and maker not in waiting
        ]
    yield f"commit {_commit()}"


def _read(table: str, results: Path) -> pd.DataFrame:
    if table not in TABLES:
        raise InputError(
            file=table,
            found="no such table",
            expected=f"one of {', '.join(TABLES)}",
            remedy="correct the name",
        )
    path = results / "tables" / f"{table}.csv"
    if not path.is_file():
        raise InputError(
            file=path,
            found="no such file",
            expected="the table of a finished run",
            remedy="run the scale first, or name another one by --scale",
        )
    return pd.read_csv(path)


@cache
def _state(path: str, digest: str) -> str:
    """How the file that is here now relates to the one that was recorded."""
    if not Path(path).exists():
        return "  (not here: make pull)"
    return "" if hash_tree(Path(path)) == digest else "  (ANOTHER FILE IS HERE NOW)"


@cache
def _commit() -> str:
    """The commit that is checked out, and whether source files differ from it."""
    try:
        return _git("rev-parse", "HEAD") + (
            " with local edits" if _git("status", "--porcelain", "src") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown: no Git history here"


def _hash(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _short(digest: str) -> str:
    return digest[:16]


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()
