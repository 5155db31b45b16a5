"""Table 1: Dice per class on ultrasound after 1, 3, 5 and 10 clicks."""

from __future__ import annotations

from typing import Any

import pandas as pd

from uscl_med3d.report.tables.context import Context, Source, labels_in_order, source_of_method

TITLE = "Dice per class on ultrasound, by number of clicks"
KEYS = ("method", "points", "class")
INDEX, COLUMNS = ("method", "points"), ("class",)


def source(context: Context, keys: dict[str, Any]) -> Source:
    """Where a cell comes from."""
    return source_of_method(context, keys["method"], "us", keys["points"])


def build(scores: pd.DataFrame, context: Context) -> pd.DataFrame:
    """One row per method, click count and class."""
    rows = []
    for label in labels_in_order(context, "table1"):
        for points in context.job.report.points:
            for name in context.shown_classes:
                keys = {"method": label, "points": points, "class": name}
                rows.append(context.cell("table1", keys, source(context, keys), [name]))
    return pd.DataFrame(rows)
