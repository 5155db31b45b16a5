"""A CSV table as HTML: a value and its interval share a cell, and every empty cell says why it is empty."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

import pandas as pd

from uscl_med3d.report.html.page import long_table, paragraph

EMPTY = "–"
UNKNOWN = "the table gives no reason"
Row = Mapping[Any, Any]


class Column(NamedTuple):
    """A column of the page.

    Attributes:
        title: what stands above it; ` · ` breaks the line.
        value: column of the file.
        ends: columns of the interval; empty where there is none.
        digits: decimal places; None for text.
    """

    title: str
    value: str
    ends: tuple[str, ...] = ()
    digits: int | None = None


def _no_reason(row: Row, column: str) -> str:
    return ""


def _no_rows(table: pd.DataFrame) -> pd.Series:
    return pd.Series(False, index=table.index)


@dataclass(frozen=True)
class Table:
    """How a table of a target is shown.

    Attributes:
        name: of the CSV file.
        title, caption: above it.
        columns: in order.
        explain: (row, column of the file) -> why the cell is empty.
        first: which rows are seen before a long table is opened.
        order: columns by which rows are sorted; empty: as in the file.
    """

    name: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    explain: Callable[[Row, str], str] = _no_reason
    first: Callable[[pd.DataFrame], pd.Series] = _no_rows
    order: tuple[str, ...] = ()

    def uses(self) -> set[str]:
        """Columns of the file that the page shows."""
        return {name for column in self.columns for name in (column.value, *column.ends)}


def interval(value: str, low: str = "ci_low", high: str = "ci_high") -> tuple[str, tuple[str, str]]:
    """Value and ends, for a column with an interval."""
    return value, (low, high)


def show_table(table: Table, found: pd.DataFrame | None, command: str) -> str:
    """The table with title and caption; or the sentence that it is missing, and what makes it.

    Args:
        found: the rows; None where there is no file.
        command: that makes the table.
    """
    head = f'<h3 id="table-{escape(table.name)}">{escape(table.title)}</h3>'
    if found is None:
        return head + paragraph(f"{table.name}.csv is missing. It is made by: {command}", "note")
    if found.empty:
        return head + paragraph(
            f"{table.name}.csv has no rows: this run had nothing to compare here.", "note"
        )
    lacking = sorted(table.uses() - set(found))
    if lacking:
        return head + paragraph(f"{table.name}.csv has no column {', '.join(lacking)}.", "note bad")
    found = found.sort_values(list(table.order), kind="stable") if table.order else found
    records, reasons = found.to_dict("records"), list[str]()
    shown = [column for column in table.columns if not all(is_empty(row[column.value]) for row in records)]
    rows = [[show_cell(column, row, table, reasons) for column in shown] for row in records]
    first = [row for row, wanted in zip(rows, table.first(found), strict=True) if wanted]
    made = long_table([column.title for column in shown], rows, first)
    said = _list_reasons(reasons) + _left_out(table, shown, records)
    return f'{head}<p class="caption">{rich(table.caption)}</p>{made}{said}'


def _list_reasons(reasons: Sequence[str]) -> str:
    notes = "".join(f"<li>{rich(reason)}</li>" for reason in reasons)
    return f'<p class="caption">Empty cells:</p><ol class="caption">{notes}</ol>' if notes else ""


def _left_out(table: Table, shown: Sequence[Column], records: Sequence[Row]) -> str:
    """Columns that are empty in every row, each with its reasons."""
    named = []
    for column in table.columns:
        if column not in shown:
            reasons = dict.fromkeys(why_empty(table, row, column.value) for row in records)
            named.append(f"{column.title.replace(' ·', '')} ({'; '.join(reasons)})")
    text = f"Not shown, because empty in every row: {', '.join(named)}."
    return f'<p class="caption">{rich(text)}</p>' if named else ""


def why_empty(table: Table, row: Row, column: str) -> str:
    """The reason that the row gives itself (column `why`), or that the table's description knows."""
    given = "" if is_empty(row.get("why")) else str(row["why"])
    return given or table.explain(row, column) or UNKNOWN


def show_cell(column: Column, row: Row, table: Table, reasons: list[str]) -> str:
    """One cell; the reason of an empty one is added to `reasons` and named by its number."""
    kind = ' class="number"' if column.digits is not None else ""
    value = row.get(column.value)
    if is_empty(value):
        reason = why_empty(table, row, column.value)
        if reason not in reasons:
            reasons.append(reason)
        return f'<td{kind} title="{escape(reason)}">{EMPTY}<sup>{reasons.index(reason) + 1}</sup></td>'
    text = f"<td{kind}>{escape(form(value, column.digits))}"
    ends = [row.get(name) for name in column.ends]
    if ends and not any(map(is_empty, ends)):
        low, high = (form(end, column.digits) for end in ends)
        text += f'<span class="interval">[{low}, {high}]</span>'
    return f"{text}</td>"


def is_empty(value: Any) -> bool:
    """Whether a cell of a file holds nothing: no value, or the dash that tables write."""
    return value is None or value == "" or value == EMPTY or (isinstance(value, float) and pd.isna(value))


def form(value: Any, digits: int | None) -> str:
    """A number with its decimal places and without a negative zero; yes or no; text as it is."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if digits is None:
        return f"{value:g}" if isinstance(value, float) else str(value)
    return f"{round(float(value), digits) + 0.0:,.{digits}f}"


def rich(text: str) -> str:
    """Escaped text, in which `words` between grave accents are code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
