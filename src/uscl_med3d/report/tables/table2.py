"""Table 2: Dice on the general-domain sets after 1, 3, 5 and 10 clicks."""

from __future__ import annotations

from typing import Any

import pandas as pd

from uscl_med3d.report.tables.context import DATASETS, Context, Source, labels_in_order, source_of_method

TITLE = "Dice on the general-domain sets, by number of clicks"
KEYS = ("method", "dataset", "points")
INDEX, COLUMNS = ("method",), ("dataset", "points")


def source(context: Context, keys: dict[str, Any]) -> Source:
    """Where a cell comes from."""
    dataset = next(key for key, name in DATASETS.items() if name == keys["dataset"])
    return source_of_method(context, keys["method"], dataset, keys["points"])


def build(scores: pd.DataFrame, context: Context) -> pd.DataFrame:
    """One row per method, dataset and click count."""
    rows = []
    for label in labels_in_order(context, "table2"):
        for dataset in ("amos", "totalsegmentator", "brats"):
            for points in context.job.report.points:
                keys = {"method": label, "dataset": DATASETS[dataset], "points": points}
                rows.append(context.cell("table2", keys, source(context, keys), context.classes_of(dataset)))
    return pd.DataFrame(rows)
