"""Inference cost: what each method of the registry is, and what it takes to answer a click.

Every method was measured in a process of its own on one volume, one after the other on one machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.core.io import read_json
from uscl_med3d.core.runs import main_run
from uscl_med3d.report.tables.plain import PlainTable, write_plain_table

COLUMNS = (
    "method",
    "run",
    "prompt",
    "clicks_per_volume",
    "total_parameters",
    "trainable_parameters",
    "encoder_gflop",
    "first_click_seconds",
    "further_click_seconds",
    "peak_memory_gb",
    "before_loading_gb",
    "peak_gpu_memory_gb",
    "device",
    "threads",
    "case",
    "class",
    "reason",
)
PROMPTS = {
    "clicks": "clicks in the volume",
    "slice_clicks": "clicks in every slice",
    "key_frames": "key frames",
    "none": "none",
}
NO_CLICKS = "takes no clicks: the seconds are those of the whole volume with all its classes"
NOT_TUNED = "not fine-tuned here"
TABLE = PlainTable(
    title="Inference cost",
    caption=(
        "Each method in a process of its own on the same volume. First click: with encoding; median of repeated "
        "passes. Volume: one crop around the click, or every slice with the target, or the whole volume. GFLOP "
        "(two operations per multiplication and addition): what is computed once per volume. Peak memory: "
        "highest resident memory of the process, Python and torch included. Seconds belong to one machine."
    ),
    label="inference_cost",
    columns={
        "method": "Method",
        "prompt": "Prompt",
        "clicks_per_volume": "Clicks per volume",
        "total_parameters": "Parameters",
        "trainable_parameters": "of these fine-tuned",
        "encoder_gflop": "Encoder GFLOP",
        "first_click_seconds": "s, first click",
        "further_click_seconds": "s, further click",
        "peak_memory_gb": "Peak memory, GB",
    },
    integers=("clicks_per_volume", "total_parameters", "trainable_parameters"),
)


def build_inference_cost(job: Any, cost_files: Iterable[Path], out: Path) -> None:
    """Write the table as CSV, Markdown and LaTeX beside each other.

    Args:
        job: parameters of the stage `report`.
        cost_files: `<run>.json` of `uscl_med3d.evaluate.cost.measure_cost`, for the main run of each method.
        out: path of the CSV file.
    """
    frame = collect_inference_cost(job, cost_files)
    machines = sorted(
        {
            f"{row['device']}, {int(row['threads'])} threads"
            for row in frame.dropna(subset="device").to_dict("records")
        }
    )
    notes = [f"Measured on: {'; '.join(machines)}."] if machines else []
    for reason in dict.fromkeys(part for text in frame["reason"] for part in text.split("; ") if part):
        named = frame.loc[
            frame["reason"].str.split("; ").map(lambda parts, one=reason: one in parts), "method"
        ]
        notes.append(f"– for {', '.join(named)}: {reason}.")
    write_plain_table(frame, replace(TABLE, notes=tuple(notes)), out)


def collect_inference_cost(job: Any, cost_files: Iterable[Path]) -> pd.DataFrame:
    """One row per method of the registry, in its order; what was not measured is empty with the reason."""
    found = {path.stem: read_json(path) for path in map(Path, cost_files)}
    rows = [_row(job, name, found.get(main_run(name, entry))) for name, entry in job.methods.items()]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(job: Any, name: str, measured: Mapping[str, Any] | None) -> dict[str, Any]:
    entry = job.methods[name]
    made = {"method": entry.label, "run": main_run(name, entry), "prompt": PROMPTS[entry.prompt]}
    if measured is None:
        return made | {"reason": f"no measurement of run {made['run']}"}
    if "failed" in measured:
        return made | {"reason": f"not measured: {measured['failed']}"}
    reasons = [NO_CLICKS] * (measured["further_click_seconds"] is None)
    reasons += [NOT_TUNED] * (measured["trainable_parameters"] is None)
    same = (
        "clicks_per_volume",
        "total_parameters",
        "trainable_parameters",
        "encoder_gflop",
        "first_click_seconds",
        "further_click_seconds",
        "device",
        "threads",
        "case",
        "class",
    )
    memory = ("peak_memory", "before_loading", "peak_gpu_memory")
    return (
        made
        | {key: measured[key] for key in same}
        | {f"{key}_gb": _gigabytes(measured[f"{key}_mb"]) for key in memory}
        | {"reason": "; ".join(reasons)}
    )


def _gigabytes(megabytes: float | None) -> float | None:
    return None if megabytes is None else megabytes / 1024
