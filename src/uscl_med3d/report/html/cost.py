"""The section about cost: training and inference, as measured."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.report.html.page import cell, paragraph, table
from uscl_med3d.report.html.provenance import read_origins
from uscl_med3d.report.tables.inference_cost import TABLE as INFERENCE

TRAINING = {
    "run": "Run",
    "trainable_parameters": "Trainable parameters",
    "steps": "Steps",
    "batch": "Batch",
    "seconds": "Seconds",
    "peak_memory_gb": "Peak memory, GB",
    "reported_hours": "Reported hours",
    "reported_memory_gb": "Reported GB",
}
TRAINING_NOTE = (
    "Measured in this run, every fine-tune at the same batch size; VCL pretraining is not included. Times are those "
    "of a shared machine and vary. Reported values are the paper's: 100 epochs at batch 2 on other data."
)


def cost(job: Any, inputs: Any) -> str:
    """The tables of training cost and of inference cost."""
    folder, known = inputs.tables_dir, set(read_origins(inputs.receipts_dir))
    training = _table(folder / "training_cost.csv", TRAINING, known, "No training-cost table.")
    inference = _table(folder / "inference_cost.csv", INFERENCE.columns, known, "No inference-cost table.")
    return (
        f'<h3 id="training_cost">Training</h3>{paragraph(TRAINING_NOTE, "muted")}{training}'
        f'<h3 id="inference_cost">Inference</h3>{paragraph(INFERENCE.caption, "muted")}{inference}'
    )


def _table(path: Path, columns: Mapping[str, str], known: set[str], missing: str) -> str:
    if not path.is_file():
        return paragraph(missing, "note")
    frame = pd.read_csv(path)
    rows = [_row(record, columns, known) for record in frame.to_dict("records")]
    reasons = list(frame["reason"].dropna()) if "reason" in frame else []
    notes = dict.fromkeys(part for text in reasons for part in str(text).split("; ") if part)
    listed = paragraph(f"–: {'; '.join(notes)}.", "caption") if notes else ""
    return table(tuple(columns.values()), rows) + listed


def _row(record: dict[Any, Any], columns: Mapping[str, str], known: set[str]) -> list[str]:
    """The first cell leads to the run where its receipt is `known`; texts stay texts, numbers are numbers."""
    first, *others = columns
    run, name = str(record["run"]), escape(str(record[first]))
    link = f'<td><a href="#origin-{escape(run)}">{name}</a></td>' if run in known else f"<td>{name}</td>"
    return [link, *(_value(record.get(name)) for name in others)]


def _value(value: Any) -> str:
    if isinstance(value, str):
        return cell(value)
    if value is None or pd.isna(value):
        return cell("–", "number")
    return cell(f"{value:,.0f}" if float(value).is_integer() else f"{value:,.3g}", "number")
