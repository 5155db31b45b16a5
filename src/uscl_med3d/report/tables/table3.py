"""Table 3: tuned modules, with and without VCL pretraining, at the main rank."""

from __future__ import annotations

from typing import Any

import pandas as pd

from uscl_med3d.report.tables.context import MODULES, Context, Source, source_of_cell

TITLE = "Tuned modules with and without VCL pretraining, at the main rank"
KEYS = ("tuned_modules", "vcl_head")
INDEX, COLUMNS = ("tuned_modules", "vcl_head"), ()


def source(context: Context, keys: dict[str, Any]) -> Source:
    """Where a cell comes from."""
    grid = context.grid()
    rank = grid.rank if grid else 0
    return source_of_cell(context, rank, keys["tuned_modules"], bool(keys["vcl_head"]))


def build(scores: pd.DataFrame, context: Context) -> pd.DataFrame:
    """One row per tuned modules and use of the VCL head."""
    rows = []
    for modules in MODULES.values():
        for vcl in (True, False):
            keys = {"tuned_modules": modules, "vcl_head": vcl}
            rows.append(context.cell("table3", keys, source(context, keys), context.classes))
    return pd.DataFrame(rows)
