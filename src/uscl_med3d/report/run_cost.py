"""What the jobs of a run have cost, in one table: collected from what each job has measured of itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json, write_csv
from uscl_med3d.core.spent import find_spent

COLUMNS = ("stage", "job", "wall_seconds", "cpu_seconds", "peak_memory_mb")


def build_run_cost(receipts: Sequence[Path], out_csv: Path) -> None:
    """Write one row per job, in the order of their names.

    Args:
        receipts: of the jobs, `receipts/<stage>/<job>.json`; what each has cost stands in `benchmarks/jobs/`.
        out_csv: the table: seconds from start to end, seconds of processors (those of worker processes included),
            highest resident memory of one process.

    Raises:
        InputError: for a job that has not said what it has cost.
    """
    rows = [_row(Path(receipt)) for receipt in receipts]
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).sort_values(["stage", "job"])
    write_csv(out_csv, frame, float_format="%.2f")


def _row(receipt: Path) -> dict[str, object]:
    path = find_spent(receipt)
    if path is None or not path.is_file():
        raise InputError(
            file=path or receipt,
            found="no such file",
            expected="what the job of this receipt has cost",
            remedy="run the job again: delete its receipt",
        )
    stage, _, job = str(path.with_suffix("")).partition("benchmarks/jobs/")[2].partition("/")
    return {"stage": stage, "job": job, **read_json(path)}
