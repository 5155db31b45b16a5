"""Tables 1 to 7 and the training cost. One file per table.

A new table is one file and one line in `TABLES`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from uscl_med3d.core.io import write_csv, write_text
from uscl_med3d.core.reporting import OWN_TABLES
from uscl_med3d.report.scores import read_scores
from uscl_med3d.report.tables import table1, table2, table3, table4, table5, table6, table7
from uscl_med3d.report.tables.blind import mark_below
from uscl_med3d.report.tables.captions import write_caption
from uscl_med3d.report.tables.context import VALUES, Context, read_image_use
from uscl_med3d.report.tables.cost import build_training_cost
from uscl_med3d.report.tables.layout import arrange, to_latex, to_markdown, value_column

TABLES: dict[str, ModuleType] = {
    "table1": table1,
    "table2": table2,
    "table3": table3,
    "table4": table4,
    "table5": table5,
    "table6": table6,
    "table7": table7,
}

__all__ = ["TABLES", "build_table", "build_tables", "build_training_cost", "list_tables"]


def list_tables(job: Any) -> dict[str, ModuleType]:
    """The tables of a run: all of the benchmark, few of a user's own cohort."""
    return {
        name: module for name, module in TABLES.items() if job.benchmark is not False or name in OWN_TABLES
    }


def build_tables(job: Any, scores: Sequence[Path], out_dir: Path, image_use_csv: Path | None = None) -> None:
    """Write every table of the registry as `<name>.csv` (long), `.md` and `.tex` (the paper's layout).

    Args:
        job: parameters of the stage `report`.
        scores: per-case score files; none at all is allowed and gives tables of reasons.
        out_dir: folder of the tables.
        image_use_csv: table of `report.image_use`, for the column; without it the column is empty.
    """
    context = Context.of(job, read_scores(scores), read_image_use(job, image_use_csv))
    for name, module in list_tables(job).items():
        frame = build_table(name, context)
        write_table(frame, Path(out_dir), name, module, write_caption(name, frame, context))


def build_table(name: str, context: Context) -> pd.DataFrame:
    """One table in long form: its key columns, then `VALUES`; a module's own `VALUE` takes the place of Dice."""
    module = TABLES[name]
    frame = module.build(context.scores, context)
    return mark_below(frame, module.KEYS, value_column(module))[
        [*module.KEYS, value_column(module), *VALUES[1:]]
    ]


def write_table(frame: pd.DataFrame, out_dir: Path, name: str, module: ModuleType, caption: str) -> None:
    """Write the three forms of one table."""
    title = f"Table {name.removeprefix('table')}. {module.TITLE}"
    layout = arrange(frame, module.INDEX, module.COLUMNS, value_column(module))
    write_csv(out_dir / f"{name}.csv", frame)
    write_text(out_dir / f"{name}.md", to_markdown(layout, title, caption))
    write_text(out_dir / f"{name}.tex", to_latex(layout, module.TITLE, caption, name))
