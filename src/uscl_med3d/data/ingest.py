"""Stage `ingest`: videos and key frames to volumes, and the split manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.core.io import atomic, write_csv
from uscl_med3d.core.params.ingest import Ingest
from uscl_med3d.data.cohort import raise_all, read_cohort
from uscl_med3d.data.convert import convert_sweep
from uscl_med3d.data.inspect import Inspection, inspect_sweep
from uscl_med3d.data.splits import COLUMNS, assign_splits


def ingest(job: Any, cohort_csv: str | Path, volumes_dir: str | Path, splits_csv: str | Path) -> None:
    """Convert a cohort to `volumes_dir`/<sweep>/ and write the manifest `splits_csv`.

    Every row, clip and mask is checked first. Problems are raised together as one `InputErrors`, and nothing
    is written. `volumes_dir` appears (or is replaced) as a whole when all sweeps are done.
    """
    settings: Ingest = job.ingest
    rows, errors = read_cohort(cohort_csv)
    with _pool(min(settings.workers, len(rows))) as run:
        inspections = list(run(partial(inspect_sweep, fan=settings.fan, classes=job.classes), rows))
        errors += [error for inspection in inspections for error in inspection.errors]
        raise_all(cohort_csv, errors)
        table = pd.DataFrame([{name: getattr(row, name) for name in COLUMNS} for row in rows])
        manifest = assign_splits(table, settings.split_fractions.model_dump(), job.seed)
        splits = dict(zip(manifest["sweep"], manifest["split"], strict=True))
        with atomic(volumes_dir) as folder:
            folder.mkdir()
            convert = partial(_convert, splits=splits, settings=settings, seed=job.seed, folder=folder)
            list(run(convert, inspections))
    write_csv(splits_csv, manifest)


def _convert(
    inspection: Inspection, *, splits: dict[str, str], settings: Ingest, seed: int, folder: Path
) -> None:
    sweep = inspection.row.sweep
    convert_sweep(inspection, splits[sweep], settings, seed, folder / sweep)


Runner = Callable[[Callable[..., Any], Iterable[Any]], Iterator[Any]]


@contextmanager
def _pool(workers: int) -> Iterator[Runner]:
    """A `map` over `workers` processes; results come in the order of the items, so outputs are the same."""
    if workers <= 1:
        yield map
        return
    # Spawned, not forked: decoders and numerical libraries keep threads, which do not survive a fork.
    executor: Executor
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as executor:
        yield partial(_map, executor)


def _map(executor: Executor, function: Callable[..., Any], items: Iterable[Any]) -> Iterator[Any]:
    return executor.map(function, items, chunksize=1)


__all__ = ["ingest"]
