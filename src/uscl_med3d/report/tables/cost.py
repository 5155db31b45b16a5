"""Training cost: what a fine-tune of each kind trains, and what it took.

All measured here at one batch size.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.core.io import read_json
from uscl_med3d.core.runs import list_runs, main_run
from uscl_med3d.report.reported import load_reported_cost
from uscl_med3d.report.tables.context import MODULES
from uscl_med3d.report.tables.plain import PlainTable, write_plain_table

COLUMNS = (
    "run",
    "method",
    "rank",
    "tuned_modules",
    "vcl_head",
    "trainable_parameters",
    "total_parameters",
    "steps",
    "batch",
    "seconds",
    "seconds_per_step",
    "peak_memory_gb",
    "reported_hours",
    "reported_memory_gb",
    "reason",
)


def build_training_cost(job: Any, info_files: Iterable[Path], cost_files: Iterable[Path], out: Path) -> None:
    """Write the cost of every trained run as CSV, Markdown and LaTeX beside each other.

    Args:
        job: parameters of the stage `report`.
        info_files: facts about each fine-tune, `<run>.json` (trainable parameters, steps).
        cost_files: measurements, `<run>.cost.json` (training_seconds, batch_size,
            peak_memory_mb of the process, peak_gpu_memory_mb on a GPU).
        out: path of the CSV file.
    """
    table = TABLE if job.benchmark is not False else OWN_TABLE
    write_plain_table(collect_cost(job, info_files, cost_files), table, out)


def collect_cost(job: Any, info_files: Iterable[Path], cost_files: Iterable[Path]) -> pd.DataFrame:
    """One row per trained run of the registry, in its order.

    What was not measured is empty with the reason.
    """
    info = {path.name.removesuffix(".json"): read_json(path) for path in map(Path, info_files)}
    cost = {path.name.removesuffix(".cost.json"): read_json(path) for path in map(Path, cost_files)}
    runs = [run for run in list_runs(job.methods, job.training_seeds) if job.methods[run.method].trained]
    return pd.DataFrame(
        [_row(job, run, info.get(run.id), cost.get(run.id)) for run in runs], columns=list(COLUMNS)
    )


def _row(job: Any, run: Any, info: dict | None, cost: dict | None) -> dict[str, Any]:
    info, known, measured = info or {}, info is not None, cost is not None
    cost = cost or {}
    steps, seconds = info.get("steps"), cost.get("training_seconds")
    memory_mb = cost.get("peak_gpu_memory_mb") or cost.get("peak_memory_mb")
    reported = load_reported_cost().set_index("method")
    # The paper's LoRA cost is that of its final model, not of every cell of the sweep.
    main = run.id == main_run(run.method, job.methods[run.method])
    kind = ("lora" if run.rank is not None else run.method) if main else ""
    reasons = [f"no facts file of run {run.id}"] * (not known) + ["no measurement of this run"] * (
        not measured
    )
    return {
        "run": run.id,
        "method": job.methods[run.method].label,
        "rank": run.rank,
        "tuned_modules": MODULES.get(run.modules or "", ""),
        "vcl_head": run.pretraining is not None,
        "trainable_parameters": info.get("trainable_parameters"),
        "total_parameters": info.get("total_parameters"),
        "steps": steps,
        "batch": cost.get("batch_size"),
        "seconds": seconds,
        "seconds_per_step": seconds / steps if seconds and steps else None,
        "peak_memory_gb": memory_mb / 1024 if memory_mb else None,
        "reported_hours": reported["hours"].get(kind),
        "reported_memory_gb": reported["gpu_memory_gb"].get(kind),
        "reason": "; ".join(reasons),
    }


_SHOWN = {
    "run": "Run",
    "trainable_parameters": "Trainable parameters",
    "steps": "Steps",
    "batch": "Batch",
    "seconds": "Seconds",
    "seconds_per_step": "s per step",
    "peak_memory_gb": "Peak memory, GB",
    "reported_hours": "Reported hours",
    "reported_memory_gb": "Reported memory, GB",
}
MEASURED = (
    "Training cost of each fine-tune, measured in this run at the same batch size on the same machine (VCL "
    "pretraining not included)."
)
CAPTION = (
    f"{MEASURED} Reported: 100 epochs at batch 2 on the paper's GPU, other data; "
    "only the ratio of LoRA to full tuning can be compared."
)
TABLE = PlainTable(
    "Training cost", CAPTION, "training_cost", _SHOWN, ("trainable_parameters", "steps", "batch")
)
OWN_TABLE = replace(
    TABLE,
    caption=MEASURED,
    columns={name: words for name, words in _SHOWN.items() if not name.startswith("reported")},
)
"""Of a user's own cohort: without what the paper reports."""
