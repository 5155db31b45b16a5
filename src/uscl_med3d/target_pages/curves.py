"""Learning curves in one table: where each training began and ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.errors import EmptyDataError

from uscl_med3d.target_pages.files import name_below
from uscl_med3d.target_pages.tables import Column, Row, Table

PARTS = ("training_seed", "trained_on")
"""Columns of a curve that tell several trainings in one file apart."""
LOSSES = ("loss", "validation_loss")
_COLUMNS = ["curve", "part", "steps", *(f"{name}_{end}" for name in LOSSES for end in ("first", "last"))]
NOT_TRAINED = "not trained: its curve has no step"


def _explain(row: Row, column: str) -> str:
    if column == "part":
        return "one training alone"
    if not row["steps"]:
        return NOT_TRAINED
    if column.startswith("validation"):
        return "no validation during this training"
    return "its curve has no training loss"


TABLE = Table(
    "curves",
    "Learning curves",
    "First and last value that each learning curve holds. The training loss is the mean since the value "
    "before; the first row of a validation loss may be step 0, before any training. Losses of different "
    "tasks cannot be compared.",
    (
        Column("Curve", "curve"),
        Column("Training seed, · or trained on", "part"),
        Column("Steps", "steps", digits=0),
        Column("Training loss, · first", "loss_first", digits=3),
        Column("Training loss, · last", "loss_last", digits=3),
        Column("Validation loss, · first", "validation_loss_first", digits=3),
        Column("Validation loss, · last", "validation_loss_last", digits=3),
    ),
    _explain,
)


def read_curves(paths: Sequence[Path]) -> pd.DataFrame:
    """One row per training, in the order of names; `part` is its seed or set, where a file holds several."""
    rows = [row for path in sorted(paths) for row in _read(Path(path))]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _read(path: Path) -> Iterator[dict[str, Any]]:
    name = name_below(path, "curves")
    try:
        curve = pd.read_csv(path)
    except EmptyDataError:
        curve = pd.DataFrame()
    if "labelled" in curve and "step" not in curve:
        return  # the collapse watch of fine-tuned encoders, which has a table of its own
    if "step" not in curve or curve.empty:
        yield {"curve": name, "part": "", "steps": 0}
        return
    keys = [key for key in PARTS if key in curve]
    for part, rows in curve.groupby(keys, sort=True) if keys else [((), curve)]:
        row = {"curve": name, "part": ", ".join(map(str, part)), "steps": int(rows["step"].max())}
        for loss in LOSSES:
            values = rows.sort_values("step")[loss].dropna() if loss in rows else pd.Series(dtype=float)
            if len(values):
                row |= {f"{loss}_first": values.iloc[0], f"{loss}_last": values.iloc[-1]}
        yield row
