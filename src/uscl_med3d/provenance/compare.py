"""Do two folders of tables hold the same numbers, within a tolerance?

Floating-point sums differ between machines, so tables made elsewhere are compared cell by cell
(`uscl-med3d compare FOLDER_A FOLDER_B --tolerance 0.5`, and `make verify`); on one machine the tolerance is 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from uscl_med3d.core.errors import InputError
from uscl_med3d.report.tables import TABLES


def compare(first: Path, second: Path, tolerance: float) -> list[str]:
    """Every cell that differs, one line each: table, keys, column, both values, difference.

    Args:
        first, second: folders with `table<N>.csv`.
        tolerance: greatest difference of two numbers that count as equal, in their own unit (Dice points).

    Raises:
        InputError: when one of the folders holds no table.
    """
    names = sorted({path.name for folder in (first, second) for path in _list_tables(folder)})
    return [line for name in names for line in _compare_table(first / name, second / name, tolerance)]


def count_cells(folder: Path) -> int:
    """Number of cells that a comparison looks at."""
    return sum(_read(path).size for path in _list_tables(folder))


def _list_tables(folder: Path) -> list[Path]:
    found = sorted(folder.glob("table[0-9]*.csv"))
    if not found:
        raise InputError(
            file=folder,
            found="no table<N>.csv",
            expected="the tables of a finished run",
            remedy="name the folder results/<scale>/tables",
        )
    return found


def _compare_table(first: Path, second: Path, tolerance: float) -> Iterator[str]:
    missing = [path for path in (first, second) if not path.is_file()]
    if missing:
        yield f"{first.stem}: no file {missing[0]}"
        return
    left, right = _read(first), _read(second)
    if list(left) != list(right):
        yield f"{first.stem}: columns {', '.join(map(str, left))} | {', '.join(map(str, right))}"
        return
    # Both sides' rows, in the order of the first: a row that only one table has is a difference too.
    for keys in dict.fromkeys([*left.index, *right.index]):
        name = " · ".join(f"{key}={value}" for key, value in zip(left.index.names, keys, strict=True))
        if keys not in left.index or keys not in right.index:
            yield f"{first.stem} · {name}: only in {first if keys in left.index else second}"
            continue
        for column in left:
            difference = _differ(str(left.at[keys, column]), str(right.at[keys, column]), tolerance)
            if difference:
                yield f"{first.stem} · {name} · {column}: {difference}"


def _read(path: Path) -> pd.DataFrame:
    """A table as text, indexed by its keys: text tells an empty cell from 0, and keeps what is no number."""
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    known = TABLES[path.stem].KEYS if path.stem in TABLES else list(frame)[:2]
    frame = frame.set_index([name for name in known if name in frame])
    # One kind of index, whether a table has one key or several.
    frame.index = pd.MultiIndex.from_tuples(
        [key if isinstance(key, tuple) else (key,) for key in frame.index], names=frame.index.names
    )
    return frame


def _differ(first: str, second: str, tolerance: float) -> str:
    """The difference in words; empty where there is none."""
    if first == second:
        return ""
    try:
        difference = abs(float(first) - float(second))
    except ValueError:
        return f"{first or 'empty'} | {second or 'empty'}"
    return f"{first} | {second}, difference {difference:.4g}" if not difference <= tolerance else ""
