"""Table 4: ways of tuning the base model, on ultrasound and on the general-domain sets."""

from __future__ import annotations

from typing import Any

import pandas as pd

from uscl_med3d.report.reported import load_reported
from uscl_med3d.report.tables.context import DATASETS, Context, Source, is_tuning_method

TITLE = "Ways of tuning: Dice on ultrasound and on the general-domain sets"
KEYS = ("method", "dataset")
INDEX, COLUMNS = ("method",), ("dataset",)

BASELINE, BASE = "baseline", "sam_med3d"
"""The row of the untuned base model, and its key in the registry."""
LORA = "lora(image_encoder+mask_decoder)"


def registry_key(context: Context, row: str) -> str | None:
    """Registry key of a row, or None: the untrained SAM-Med3D, the LoRA sweep's main cell, a key, or a method's label."""
    if row == BASELINE:
        return BASE if BASE in context.job.methods else None
    if row == LORA:
        sweep = context.sweep()
        return sweep[0] if sweep else None
    return row if row in context.job.methods else context.method_with_label(row)


def row_names(context: Context) -> list[str]:
    """The paper's rows by its names, then the registry's further tuning methods by their labels."""
    paper = list(dict.fromkeys(load_reported("table4")["method"]))
    shown = {registry_key(context, row) for row in paper}
    extra = [
        entry.label
        for name, entry in context.job.methods.items()
        if name not in shown and is_tuning_method(entry)
    ]
    return paper + extra


def source(context: Context, keys: dict[str, Any]) -> Source:
    """Where a cell comes from."""
    dataset = next(key for key, name in DATASETS.items() if name == keys["dataset"])
    name = registry_key(context, keys["method"])
    if name is None:
        return Source(
            (), dataset, context.last_point, f"no method {keys['method']} at this scale: section `methods`"
        )
    return Source(tuple(context.main_runs(name)), dataset, context.last_point, "")


def build(scores: pd.DataFrame, context: Context) -> pd.DataFrame:
    """One row per tuning method and dataset."""
    rows = []
    for row in row_names(context):
        for dataset, label in DATASETS.items():
            keys = {"method": row, "dataset": label}
            rows.append(context.cell("table4", keys, source(context, keys), context.classes_of(dataset)))
    return pd.DataFrame(rows)
