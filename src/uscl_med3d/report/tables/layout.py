"""Long tables in the paper's layout, as Markdown and LaTeX.

Our value and interval, the reported value in brackets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import pandas as pd

MARK = "†"
"""Stands behind a value worse than one of the rows that look at no image (`tables.blind`)."""

NAMES = {
    "method": "Method",
    "points": "Clicks",
    "class": "Class",
    "reference": "Reference",
    "true_mask": "complete masks",
    "held_out_key_frames": "held-out key frames",
    "dataset": "Dataset",
    "tuned_modules": "Tuned modules",
    "vcl_head": "VCL head",
    "rank": "LoRA rank",
    "dice": "Dice",
    "True": "yes",
    "False": "no",
    "3dus": "3D US",
    "baseline": "baseline (SAM-Med3D)",
    "lora(image_encoder+mask_decoder)": "LoRA (encoder + decoder)",
    "full_tuning": "full tuning",
    "adaptformer": "AdaptFormer",
    "image_encoder": "image encoder",
    "mask_decoder": "mask decoder",
    "image_encoder+mask_decoder": "encoder + decoder",
    "pleural_effusion": "pleural effusion",
}
"""Machine names and the words shown for them."""

MEASURES = {
    "dice": "Dice",
    "area": "area under the curve",
    "noc": "NoC@{}",
    "reached": "reach {}, %",
    "failures": "failures, %",
    "nsd": "NSD ({})",
    "hd95": "HD95, {}",
}
"""First word of a measure's name: its header, with the rest of the name in place of the braces."""


@dataclass(frozen=True)
class Cell:
    """One value of a laid-out table, as texts; `note` is the index of its footnote, from 1, or 0."""

    ours: str
    interval: str
    reported: str
    note: int


@dataclass(frozen=True)
class Layout:
    """A table as rows and columns. `records` holds for every cell the row of the long table it came from."""

    header: tuple[str, ...]
    index: tuple[tuple[str, ...], ...]
    cells: tuple[tuple[Cell, ...], ...]
    records: tuple[tuple[dict, ...], ...]
    notes: tuple[str, ...]


def value_column(module: ModuleType) -> str:
    """Name of the column with a table's numbers."""
    return getattr(module, "VALUE", "dice")


def arrange(frame: pd.DataFrame, index: Sequence[str], columns: Sequence[str], value: str = "dice") -> Layout:
    """Spread a long table: `index` keys name the rows, `columns` keys the columns; numbers are in column `value`.

    Order of first appearance.
    """
    notes = tuple(dict.fromkeys(reason for reason in frame["reason"] if isinstance(reason, str) and reason))
    row_keys = list(dict.fromkeys(frame[list(index)].itertuples(index=False, name=None)))
    column_keys = (
        list(dict.fromkeys(frame[list(columns)].itertuples(index=False, name=None))) if columns else [()]
    )
    lookup = {
        (tuple(record[name] for name in index), tuple(record[name] for name in columns)): record
        for record in frame.to_dict("records")
    }
    records = tuple(tuple(lookup[row, column] for column in column_keys) for row in row_keys)
    titles = tuple(
        " · ".join(_column_name(*pair) for pair in zip(columns, key, strict=True)) for key in column_keys
    )
    return Layout(
        header=(*map(shown, index), *(titles if columns else ("Dice",))),
        index=tuple(tuple(map(shown, key)) for key in row_keys),
        cells=tuple(tuple(_cell(record, record[value], notes) for record in row) for row in records),
        records=records,
        notes=notes,
    )


def shown(value: object) -> str:
    """The words for a machine name or value."""
    return NAMES.get(str(value), str(value))


def _column_name(key: str, value: object) -> str:
    if key == "measure":
        kind, _, rest = str(value).partition("_")
        return MEASURES[kind].format(rest.replace("_", " "))
    return f"{value} pt" if key == "points" else shown(value)


def _cell(record: dict, value: float, notes: tuple[str, ...]) -> Cell:
    reason = record["reason"] if isinstance(record["reason"], str) else ""
    scored = pd.notna(value)
    below = MARK if isinstance(record.get("below"), str) and record["below"] else ""
    bounded = scored and pd.notna(record["ci_low"])
    return Cell(
        ours=f"{value:.1f}{below}" if scored else "–",
        interval=f"[{record['ci_low']:.1f}, {record['ci_high']:.1f}]" if bounded else "",
        reported=f"({record['reported']:g})" if pd.notna(record["reported"]) else "",
        note=notes.index(reason) + 1 if reason else 0,
    )


def to_markdown(layout: Layout, title: str, caption: str) -> str:
    """The table with title above, caption and numbered reasons below."""
    lines = [f"**{title}**", "", _line(layout.header), _line(["---"] * len(layout.header))]
    for index, cells in zip(layout.index, layout.cells, strict=True):
        lines.append(_line([*index, *map(_markdown_cell, cells)]))
    lines += ["", caption]
    lines += [f"\n<sup>{number}</sup> {note}" for number, note in enumerate(layout.notes, 1)]
    return "\n".join(lines) + "\n"


def _markdown_cell(cell: Cell) -> str:
    mark = f"<sup>{cell.note}</sup>" if cell.note else ""
    return " ".join(part for part in (cell.ours + mark, cell.interval, cell.reported) if part)


def _line(values: Sequence[str]) -> str:
    return "| " + " | ".join(values) + " |"


def to_latex(layout: Layout, title: str, caption: str, label: str) -> str:
    """A `table` environment for booktabs; long rows are scaled to the text width (graphicx)."""
    keys, values = len(layout.index[0]), len(layout.cells[0])
    lines = [
        r"% needs \usepackage{booktabs,graphicx}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_escape(title + '. ' + caption)}}}",
        rf"\label{{tab:{label}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{'l' * keys}{'c' * values}}}",
        r"\toprule",
        " & ".join(map(_escape, layout.header)) + r" \\",
        r"\midrule",
    ]
    for index, cells in zip(layout.index, layout.cells, strict=True):
        lines.append(" & ".join([*map(_escape, index), *map(_latex_cell, cells)]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}}"]
    lines += [
        rf"\par\footnotesize $^{{{number}}}$ {_escape(note)}" for number, note in enumerate(layout.notes, 1)
    ]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _latex_cell(cell: Cell) -> str:
    mark = f"$^{{{cell.note}}}$" if cell.note else ""
    ours = "--" if cell.ours == "–" else cell.ours.replace(MARK, r"$^\dagger$")
    return " ".join(part for part in (ours + mark, cell.interval, cell.reported) if part)


def _escape(text: str) -> str:
    for raw, safe in _LATEX:
        text = text.replace(raw, safe)
    return text


_LATEX = (
    ("\\", r"\textbackslash "),
    ("&", r"\&"),
    ("%", r"\%"),
    ("_", r"\_"),
    ("#", r"\#"),
    ("$", r"\$"),
    ("–", "--"),
    ("·", r"$\cdot$"),
    ("±", r"$\pm$"),
)
