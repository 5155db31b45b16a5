"""Stage `ingest`: videos and key frames to volumes, and the split manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import atomic, write_csv
from uscl_med3d.core.params.ingest import Ingest
from uscl_med3d.core.watchdog import watch_parent
from uscl_med3d.data.cohort import CohortRow, raise_all, read_cohort
from uscl_med3d.data.convert import convert_sweep
from uscl_med3d.data.inspect import inspect_sweep
from uscl_med3d.data.splits import COLUMNS, assign_splits


def ingest(job: Any, cohort_csv: str | Path, volumes_dir: str | Path, splits_csv: str | Path) -> None:
    """Convert a cohort to `volumes_dir`/<sweep>/ and write the manifest `splits_csv`.

    Every row, clip and mask is checked. Problems are raised together as one `InputErrors`, and then nothing
    is written: `volumes_dir` appears (or is replaced) as a whole when all sweeps are done.
    """
    rows, errors = read_cohort(cohort_csv)
    manifest = None
    if not errors:
        table = pd.DataFrame([{name: getattr(row, name) for name in COLUMNS} for row in rows])
        manifest = assign_splits(table, job.ingest.split_fractions.model_dump(), job.seed)
    with atomic(volumes_dir) as folder, _pool(min(job.ingest.workers, len(rows))) as run:
        folder.mkdir()
        # With errors in the table the sweeps are still inspected, so that all problems come in one message.
        splits = {} if manifest is None else dict(zip(manifest["sweep"], manifest["split"], strict=True))
        work = partial(
            _ingest_sweep, splits=splits, job=_Job(job.seed, job.classes, job.ingest), folder=folder
        )
        errors += [error for found in run(work, rows) for error in found]
        raise_all(cohort_csv, errors)
    write_csv(splits_csv, manifest)


@dataclass(frozen=True)
class _Job:
    """What a worker process needs of the job (its class is made at run time and cannot be pickled)."""

    seed: int
    classes: dict[str, int]
    ingest: Ingest


def _ingest_sweep(
    row: CohortRow, *, splits: dict[str, str], job: _Job, folder: Path
) -> tuple[InputError, ...]:
    """Inspect one sweep, and convert it if it is in order; returns its problems."""
    inspection = inspect_sweep(row, job.ingest.fan, job.classes)
    if not inspection.errors and splits:
        convert_sweep(inspection, splits[row.sweep], job.ingest, job.seed, folder / row.sweep)
    return inspection.errors


Runner = Callable[[Callable[..., Any], Iterable[Any]], Iterator[Any]]


@contextmanager
def _pool(workers: int) -> Iterator[Runner]:
    """A `map` over `workers` processes; results come in the order of the items, so outputs are the same."""
    if workers <= 1:
        yield map
        return
    # Spawned, not forked: decoders and numerical libraries keep threads, which do not survive a fork.
    executor: Executor
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=watch_parent) as executor:
        yield partial(_map, executor)


def _map(executor: Executor, function: Callable[..., Any], items: Iterable[Any]) -> Iterator[Any]:
    return executor.map(function, items, chunksize=1)
