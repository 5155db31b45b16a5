"""Stage `ingest`: videos and key frames to volumes, and the split manifest."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import atomic, write_csv
from uscl_med3d.core.params.ingest import Ingest
from uscl_med3d.core.watchdog import watch_parent
from uscl_med3d.data.cohort import CohortRow, raise_all, read_cohort
from uscl_med3d.data.convert import convert_sweep
from uscl_med3d.data.failures import find_gaps, plan_splits, write_failures
from uscl_med3d.data.inspect import inspect_sweep
from uscl_med3d.data.tracked.follow import follow_poses


def ingest(
    job: Any,
    cohort_csv: str | Path,
    volumes_dir: str | Path,
    splits_csv: str | Path,
    failures_csv: str | Path | None = None,
) -> None:
    """Convert a cohort to `volumes_dir`/<sweep>/, write the manifest `splits_csv` and the list `failures_csv`.

    Every row, clip and mask is checked. Sweeps that cannot be used are left out of volumes and manifest and
    listed (`ingest.bad_sweeps: leave_out`); splits are assigned before, so that no other patient changes its
    split. `volumes_dir` appears (or is replaced) as a whole when all sweeps are done.

    Raises:
        InputErrors: all problems together, and then nothing is written: where the table itself is wrong,
            where too little would be left (`find_gaps`), and with `bad_sweeps: stop` for any problem.
    """
    rows, errors = read_cohort(cohort_csv)
    manifest = None if errors else plan_splits(rows, job.ingest, job.seed)
    with atomic(volumes_dir) as folder, _pool(min(job.ingest.workers, len(rows))) as run:
        folder.mkdir()
        # With errors in the table the sweeps are still inspected, so that all problems come in one message.
        splits = {} if manifest is None else dict(zip(manifest["sweep"], manifest["split"], strict=True))
        work = partial(
            _ingest_sweep, splits=splits, job=_Job(job.seed, job.classes, job.ingest), folder=folder
        )
        found = [(row.sweep, problems) for row, problems in zip(rows, run(work, rows), strict=True)]
        failed = {sweep: problems for sweep, problems in found if problems}
        if not errors and job.ingest.bad_sweeps == "leave_out":
            errors = find_gaps(rows, manifest, failed, cohort_csv)
        if errors or job.ingest.bad_sweeps == "stop":
            raise_all(cohort_csv, errors + [error for _, problems in found for error in problems])
    for sweep, problems in failed.items():
        listing = "\n".join(f"- {error}" for error in problems)
        print(f"ingest: sweep {sweep} is left out\n{listing}", file=sys.stderr)
    write_csv(splits_csv, manifest[~manifest["sweep"].isin(failed)])
    if failures_csv is not None:
        write_failures(failures_csv, manifest, failed)


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
    inspection = follow_poses(inspect_sweep(row, job.ingest.fan, job.classes), job.ingest)
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
