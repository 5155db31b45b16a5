"""Plain tables: one line per row of a frame, numbers as they are, without intervals."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.core.io import write_csv, write_text


@dataclass(frozen=True)
class PlainTable:
    """How a frame is shown.

    Attributes:
        title: above the table. caption: below it. label: of the LaTeX table.
        columns: column of the frame -> its words in the header, in order.
        integers: columns shown with all digits. points: Dice points, shown with one decimal. Other numbers have three
            digits.
        notes: lines below the caption, in Markdown only.
    """

    title: str
    caption: str
    label: str
    columns: Mapping[str, str]
    integers: Collection[str]
    points: Collection[str] = ()
    notes: Sequence[str] = ()


def write_plain_table(frame: pd.DataFrame, table: PlainTable, out: Path) -> None:
    """Write `out` (CSV, every column), and beside it Markdown and LaTeX (the shown columns)."""
    out = Path(out)
    write_csv(out, frame)
    write_text(out.with_suffix(".md"), to_markdown(frame, table))
    write_text(out.with_suffix(".tex"), to_latex(frame, table))


def to_markdown(frame: pd.DataFrame, table: PlainTable) -> str:
    """Title, table, caption, notes."""
    header = list(table.columns.values())
    lines = [f"**{table.title}**", "", _line(header), _line(["---"] * len(header))]
    lines += [_line(row) for row in _texts(frame, table)]
    lines += ["", table.caption, *(f"\n{note}" for note in table.notes)]
    return "\n".join(lines) + "\n"


def to_latex(frame: pd.DataFrame, table: PlainTable) -> str:
    """A `table` environment for booktabs."""
    header = list(table.columns.values())
    head = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_escape(table.caption)}}}",
        rf"\label{{tab:{table.label}}}",
        r"\begin{tabular}{l" + "r" * (len(header) - 1) + "}",
        r"\toprule",
        " & ".join(map(_escape, header)) + r" \\",
        r"\midrule",
    ]
    rows = [" & ".join(map(_escape, row)) + r" \\" for row in _texts(frame, table)]
    return "\n".join([*head, *rows, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


def _texts(frame: pd.DataFrame, table: PlainTable) -> list[list[str]]:
    return [
        [_text(row[name], _format(name, table)) for name in table.columns] for row in frame.to_dict("records")
    ]


def _format(column: str, table: PlainTable) -> str:
    if column in table.integers:
        return ",.0f"
    return ".1f" if column in table.points else ".3g"


def _text(value: Any, number: str) -> str:
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return "–"
    return value if isinstance(value, str) else format(value, number)


def _line(values: Sequence[str]) -> str:
    return "| " + " | ".join(values) + " |"


def _escape(text: str) -> str:
    return text.replace("_", r"\_").replace("%", r"\%").replace("–", "--")
