"""All tables, every number with its provenance: a hint on hover, and a link to its run."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from uscl_med3d.report.html.page import cell, long_table, paragraph
from uscl_med3d.report.html.provenance import Origin, read_origins
from uscl_med3d.report.tables import list_tables
from uscl_med3d.report.tables.context import Context
from uscl_med3d.report.tables.layout import Cell, Layout, arrange, value_column
from uscl_med3d.report.words import count


def table_section(job: Any, inputs: Any) -> str:
    """All tables of the run, with captions."""
    context, origins = Context.empty(job), read_origins(inputs.receipts_dir)
    tables = list_tables(job)
    where = (
        "Hover over a number for its patients, run, weights and parameters (first digits of SHA-256), or follow it to the "
        "run's row in Provenance."
    )
    if context.own:
        intro, listed = paragraph(f"Every cell: mean and interval. {where}", "muted"), ""
    else:
        text = f"Every cell: our mean and interval, and below it in italics what the paper reports. {where}"
        links = " · ".join(f'<a href="#{name}">{name.removeprefix("table")}</a>' for name in tables)
        intro, listed = paragraph(text, "muted"), f'<p class="muted">Table {links}</p>'
    made = (_one(name, tables[name], context, inputs.tables_dir, origins) for name in tables)
    return listed + intro + "".join(made)


def _one(name: str, module: ModuleType, context: Context, folder: Path, origins: dict[str, Origin]) -> str:
    path, number = folder / f"{name}.csv", "" if context.own else f"Table {name.removeprefix('table')}. "
    title = f"<h3 id='{name}'>{number}{escape(module.TITLE)}</h3>"
    if not path.is_file():
        return title + paragraph(f"{path.name} is missing.", "note")
    layout = arrange(pd.read_csv(path), module.INDEX, module.COLUMNS, value_column(module))
    rows = []
    for index, cells, records in zip(layout.index, layout.cells, layout.records, strict=True):
        values = [
            _cell(one, record, module, context, origins) for one, record in zip(cells, records, strict=True)
        ]
        rows.append([*map(cell, index), *values])
    notes = "".join(f"<li>{escape(note)}</li>" for note in layout.notes)
    listed = f'<ol class="caption">{notes}</ol>' if notes else ""
    shown = long_table(layout.header, rows, _last_clicks(rows, layout, module))
    return title + shown + _caption(folder / f"{name}.md") + listed


def _last_clicks(rows: Sequence[list[str]], layout: Layout, module: ModuleType) -> list[list[str]]:
    """Rows after the last click, of a table with a row per click count; none of other tables."""
    if "points" not in module.INDEX:
        return []
    place = module.INDEX.index("points")
    last = max(int(index[place]) for index in layout.index)
    return [row for row, index in zip(rows, layout.index, strict=True) if int(index[place]) == last]


def _cell(one: Cell, record: dict, module: Any, context: Context, origins: dict[str, Origin]) -> str:
    mark = f"<sup>{one.note}</sup>" if one.note else ""
    reported = f'<span class="reported">{escape(one.reported)}</span>' if one.reported else ""
    interval = f'<span class="interval">{escape(one.interval)}</span>' if one.interval else ""
    if pd.isna(record[value_column(module)]):
        return f'<td class="number" title="{escape(str(record["reason"]))}">–{mark}{reported}</td>'
    runs = module.source(context, {key: record[key] for key in module.KEYS}).runs
    hint = f"{count(record['n_patients'], 'patient')}, {count(record['n_cases'], 'case')}"
    for run in runs:
        hint += f"\nrun {run.id}" + (f": {origins[run.id].in_words()}" if run.id in origins else "")
    anchor = f"{'origin' if runs and runs[0].id in origins else 'run'}-{runs[0].id if runs else ''}"
    link = f'<a href="#{escape(anchor)}">{escape(one.ours)}</a>' if runs else escape(one.ours)
    return f'<td class="number" title="{escape(hint)}">{link}{mark}{interval}{reported}</td>'


def _caption(path: Path) -> str:
    """The caption, as the Markdown form of the table carries it: its first paragraph after the rows."""
    if not path.is_file():
        return ""
    blocks = path.read_text(encoding="utf-8").split("\n\n")
    after = [block for block in blocks[1:] if not block.startswith(("|", "<sup>", "**"))]
    return f'<p class="caption">{escape(after[0].strip())}</p>' if after else ""
