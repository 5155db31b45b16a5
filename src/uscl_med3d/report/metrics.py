"""The Dice of the tables as nested JSON, so that `dvc metrics diff` names the cells that changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.core.io import write_json
from uscl_med3d.report.tables import TABLES


def write_metrics(tables_dir: Path, path: Path) -> None:
    """Write every scored cell as table -> first key -> second key -> value (Dice in percent; two decimals).

    Of a table with several click counts, only the cells after the last click; nothing of tables that were not made.

    Args:
        tables_dir: folder with `<table>.csv` of the registry.
        path: of the JSON file.
    """
    made = {
        name: _nest(pd.read_csv(tables_dir / f"{name}.csv"), module.KEYS, getattr(module, "VALUE", "dice"))
        for name, module in TABLES.items()
        if (tables_dir / f"{name}.csv").is_file()
    }
    write_json(path, made)


def _nest(frame: pd.DataFrame, keys: Sequence[str], value: str) -> dict[str, Any]:
    rows = frame[frame["points"] == frame["points"].max()] if "points" in keys else frame
    nested: dict[str, Any] = {}
    for record in rows[rows[value].notna()].to_dict("records"):
        node = nested
        *parents, last = [str(record[key]) for key in keys if key != "points"]
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = round(record[value], 2)
    return nested
