"""Table 5: LoRA rank by tuned modules, with VCL pretraining."""

from __future__ import annotations

from typing import Any

import pandas as pd

from uscl_med3d.report.reported import load_reported
from uscl_med3d.report.tables.context import MODULES, Context, Source, source_of_cell

TITLE = "LoRA rank by tuned modules, with VCL pretraining"
KEYS = ("rank", "tuned_modules")
INDEX, COLUMNS = ("rank", "tuned_modules"), ()


def source(context: Context, keys: dict[str, Any]) -> Source:
    """Where a cell comes from."""
    return source_of_cell(context, int(keys["rank"]), keys["tuned_modules"], True)


def ranks(context: Context) -> list[int]:
    """The paper's ranks and those of the registry, ascending."""
    grid = context.grid()
    return sorted({*map(int, load_reported("table5")["rank"]), *(grid.ranks if grid else ())})


def build(scores: pd.DataFrame, context: Context) -> pd.DataFrame:
    """One row per rank and tuned modules."""
    rows = []
    for rank in ranks(context):
        for modules in MODULES.values():
            keys = {"rank": rank, "tuned_modules": modules}
            rows.append(context.cell("table5", keys, source(context, keys), context.classes))
    return pd.DataFrame(rows)
