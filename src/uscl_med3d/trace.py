"""Where a number of a table comes from: runs, files and their hashes, parameters, code commit.

`uscl-med3d trace table3` prints every cell of a table; `key=value` arguments choose cells
(`uscl-med3d trace table1 method=USCL-Med3D points=10 class=liver`). Reads the results folder only.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pandas as pd

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json, sha256
from uscl_med3d.core.params import load_job
from uscl_med3d.core.plan import Plan
from uscl_med3d.report.tables import TABLES
from uscl_med3d.report.tables.context import Context

_ABSENT = "not here (make pull)"


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
            raise InputError(file=table, found=f"{pair!r}", expected=f"one of {', '.join(module.KEYS)}, as key=value",
                             remedy="correct the argument")  # fmt: skip
        rows = rows[rows[key].astype(str) == value]
    if rows.empty:
        raise InputError(file=table, found=f"no cell with {' and '.join(wanted)}", expected="values of the table",
                         remedy=f"look at {results / 'tables' / table}.csv")  # fmt: skip
    context = Context.empty(load_job("report", results / "params/report.json"))
    plan = _plan(results)
    # Cells of the same runs share one block.
    blocks: dict[tuple[str, ...], list[str]] = {}
    for record in rows.to_dict("records"):
        source = module.source(context, {key: record[key] for key in module.KEYS})
        name = " · ".join(f"{key}={record[key]}" for key in module.KEYS)
        if pd.isna(record["dice"]):
            text = f"{name}: – ({record['reason']})"
        else:
            text = f"{name}: {record['dice']:.2f} [{record['ci_low']:.2f}, {record['ci_high']:.2f}]"
        blocks.setdefault(tuple(run.id for run in source.runs), []).append(text)
    lines: list[str] = []
    for runs, cells in blocks.items():
        lines += [*cells, *(f"    {line}" for run in runs for line in describe_run(plan, run)), ""]
    return "\n".join(lines)


def describe_run(plan: Plan, run: str) -> Iterator[str]:
    """Everything that made the scores of a run: one line per file, with its hash."""
    results, entry = plan.results, plan.params.methods[plan.runs[run].method]
    job = f"{results}/params/evaluate/{run}.json"
    yield _line("run", run)
    yield _line("scores", _file(f"{results}/scores/{run}.csv"))
    for path in plan.weights(run):
        yield _line("checkpoint", _file(path))
    for path in plan.base_weights(run):
        yield _line("base model", _file(path))
    for path in plan.vcl_weights(run):
        yield _line("VCL adapter", _file(path))
    if entry.trained or entry.weights_of:
        yield _line("pseudo-labels", _file(f"{results}/pseudolabels"))
    yield _line("volumes", _file(f"{results}/volumes"))
    yield _line("splits", _file(f"data/splits/{plan.scale}.csv"))
    if any(name != "us" for name in plan.runs[run].datasets):
        for folder in plan.general_folders:
            yield _line("general set", _file(folder))
    yield _line("parameters", _file(job))
    for path in plan.weights(run):
        trained = f"{results}/params/finetune/{Path(path).stem}.json"
        yield _line("parameters", _file(trained))
    yield _line("seed", str(read_json(job)["seed"]))
    modules = ["uscl_med3d.evaluate.score"] + ["uscl_med3d.train.finetune"] * entry.trained
    yield _line(
        "code", _commit(tuple(sorted({file for module in modules for file in plan.code(module, run)})))
    )


def _read(table: str, results: Path) -> pd.DataFrame:
    if table not in TABLES:
        raise InputError(file=table, found="no such table", expected=f"one of {', '.join(TABLES)}",
                         remedy="correct the name")  # fmt: skip
    path = results / "tables" / f"{table}.csv"
    if not path.is_file():
        raise InputError(file=path, found="no such file", expected="the table of a finished run",
                         remedy="run the scale first, or name another one by --scale")  # fmt: skip
    return pd.read_csv(path)


def _plan(results: Path) -> Plan:
    """The plan of a finished run, from the copy of its parameters."""
    file = results / "params/all.json"
    return Plan(read_json(file), str(file))


def _line(what: str, text: str) -> str:
    return f"{what:<14}{text}"


@cache
def _file(path: str) -> str:
    """Path and SHA-256; of a folder, the SHA-256 over the sorted names and hashes of its files."""
    place = Path(path)
    if place.is_file():
        return f"{path}  sha256 {sha256(place)[:16]}"
    if not place.is_dir():
        return f"{path}  {_ABSENT}"
    total = hashlib.sha256()
    files = sorted(file for file in place.rglob("*") if file.is_file())
    for file in files:
        total.update(f"{file.relative_to(place)} {sha256(file)}\n".encode())
    return f"{path}/ ({len(files)} files)  sha256 {total.hexdigest()[:16]}"


@cache
def _commit(files: tuple[str, ...]) -> str:
    """The last commit that changed any of the source files, and whether they differ from it now."""
    try:
        found = _git("log", "-1", "--format=%H %cs", "--", *files)
        edited = _git("status", "--porcelain", "--", *files)
    except (OSError, subprocess.CalledProcessError):
        return f"{len(files)} files, no Git history here"
    return f"{len(files)} files, commit {found or 'none'}{', edited since' if edited else ''}"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()
