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
from uscl_med3d.core.io import atomic, read_json, write_csv
from uscl_med3d.core.params.ingest import Ingest
from uscl_med3d.core.store import Store, describe_code, fingerprint, hash_files
from uscl_med3d.core.watchdog import watch_parent
from uscl_med3d.data.annotations import by_order
from uscl_med3d.data.annotations.naming import ClipNames
from uscl_med3d.data.cohort import (
    CohortRow,
    list_clips_of_several,
    list_shared,
    name_clips,
    raise_all,
    read_cohort,
)
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
    store_dir: str | Path | None = None,
) -> None:
    """Convert a cohort to `volumes_dir`/<sweep>/, write the manifest `splits_csv` and the list `failures_csv`.

    Every row, clip and mask is checked. Sweeps that cannot be used are left out of volumes and manifest and
    listed (`ingest.bad_sweeps: leave_out`); splits are assigned before, so that no other patient changes its
    split. `volumes_dir` appears (or is replaced) as a whole when all sweeps are done. With `store_dir`, sweeps
    of which nothing has changed are taken from there (`core.store`); the result is the same without.

    Raises:
        InputErrors: all problems together, and then nothing is written: where the table itself is wrong,
            where too little would be left (`find_gaps`), and with `bad_sweeps: stop` for any problem.
    """
    rows, errors = read_cohort(cohort_csv)
    manifest = None if errors else plan_splits(rows, job.ingest, job.seed)
    store = Store(store_dir)
    with atomic(volumes_dir) as folder, _pool(min(job.ingest.workers, len(rows))) as run:
        folder.mkdir()
        # With errors in the table the sweeps are still inspected, so that all problems come in one message.
        splits = {} if manifest is None else dict(zip(manifest["sweep"], manifest["split"], strict=True))
        names = name_clips(rows)
        common = _Common(
            job.seed,
            job.classes,
            job.ingest,
            splits,
            folder,
            store,
            describe_code(__name__),
            names,
            list_shared(rows),
        )
        outcomes = list(run(partial(_ingest_sweep, common=common), rows))
        failed = {row.sweep: out.errors for row, out in zip(rows, outcomes, strict=True) if out.errors}
        if manifest is not None and job.ingest.bad_sweeps == "leave_out":
            errors = find_gaps(rows, manifest, failed, cohort_csv)
        if errors or job.ingest.bad_sweeps == "stop":
            raise_all(cohort_csv, errors + [error for out in outcomes for error in out.errors])
    assert manifest is not None  # errors in the table were raised
    write_csv(splits_csv, manifest[~manifest["sweep"].isin(failed)])
    if failures_csv is not None:
        write_failures(failures_csv, manifest, failed)
    store.keep_only({out.fingerprint for out in outcomes})
    _report(rows, outcomes, failed)


@dataclass(frozen=True)
class _Common:
    """What a worker process needs beside its sweep (the job's own class is made at run time, no pickle takes it)."""

    seed: int
    classes: dict[str, int]
    ingest: Ingest
    splits: dict[str, str]
    folder: Path
    store: Store
    code: dict[str, Any]
    names: dict[str, ClipNames]
    shared: dict[Path, list[str]]


@dataclass(frozen=True)
class _Outcome:
    """Of one sweep: its problems, the name of its entry in the store, whether it was there already, and what was assumed
    that can change a label or a millimetre."""

    errors: tuple[InputError, ...]
    fingerprint: str = ""
    unchanged: bool = False
    assumed: tuple[str, ...] = ()


class _Unusable(Exception):
    """The sweep has these problems."""

    def __init__(self, errors: tuple[InputError, ...]) -> None:
        super().__init__()
        self.errors = errors


def _ingest_sweep(row: CohortRow, *, common: _Common) -> _Outcome:
    """Inspect one sweep, and convert it if it is in order and has a split."""

    def make(folder: Path) -> None:
        _refuse_shared(row, common.shared)
        inspection = inspect_sweep(row, common.ingest.fan, common.classes, common.names.get(row.sweep))
        inspection = follow_poses(inspection, common.ingest)
        if inspection.errors:
            raise _Unusable(inspection.errors)
        if common.splits:
            convert_sweep(inspection, common.splits[row.sweep], common.ingest, common.seed, folder)

    store = common.store if common.splits else Store(None)
    try:
        key = _fingerprint(row, common)
        unchanged = store.fill(common.folder / row.sweep, key, make)
        return _Outcome((), key, unchanged, _list_assumed(common.folder / row.sweep / "sidecar.json"))
    except _Unusable as unusable:
        return _Outcome(unusable.errors)
    except InputError as error:
        return _Outcome((error,))
    except PermissionError as error:
        file, expected = error.filename or row.video, "a file that this user may read"
        remedy = "change the file's permissions"
        return _Outcome((InputError(file=file, found=str(error.strerror), expected=expected, remedy=remedy),))


def _refuse_shared(row: CohortRow, shared: dict[Path, list[str]]) -> None:
    """Masks that name no clip cannot be those of several."""
    for path in (row.key_frames, row.corrections, row.reference):
        if path is not None and path in shared and by_order(path):
            raise InputError(
                file=path,
                found=f"the labels of several clips: {', '.join(shared[path])}",
                expected="label images and label maps of one clip each",
                remedy="name the right file or folder for every sweep in cohort.csv",
            )


def _fingerprint(row: CohortRow, common: _Common) -> str:
    """Of everything that the files of one sweep depend on."""
    values = {name: value for name, value in vars(row).items() if name != "line"}
    return fingerprint(
        {
            "row": values,
            "files": hash_files(value for value in values.values() if isinstance(value, Path)),
            "split": common.splits.get(row.sweep),
            "seed": common.seed,
            "classes": common.classes,
            "ingest": common.ingest.model_dump(exclude={"split_fractions", "bad_sweeps", "workers"}),
            "code": common.code,
            # Only where annotations are chosen by name: another row must not make every sweep anew.
            "names": _names_that_count(row, common.names.get(row.sweep)),
        }
    )


def _names_that_count(row: CohortRow, names: ClipNames | None) -> list[str]:
    by_name = any(path is not None and not by_order(path) for path in (row.key_frames, row.corrections))
    return sorted(names.own) if names is not None and by_name else []


def _list_assumed(sidecar: Path) -> tuple[str, ...]:
    if not sidecar.is_file():
        return ()
    return tuple(entry["text"] for entry in read_json(sidecar).get("assumed", []) if entry["changes_results"])


def _report(
    rows: list[CohortRow], outcomes: list[_Outcome], failed: dict[str, tuple[InputError, ...]]
) -> None:
    """To the log: every problem, what was assumed, then how many sweeps were converted."""
    for text in list_clips_of_several(rows):
        print(f"ingest: {text}", file=sys.stderr)
    for sweep, problems in failed.items():
        listing = "\n".join(f"- {error}" for error in problems)
        print(f"ingest: sweep {sweep} is left out\n{listing}", file=sys.stderr)
    for row, outcome in zip(rows, outcomes, strict=True):
        for text in outcome.assumed:
            print(f"ingest: sweep {row.sweep}: {text}", file=sys.stderr)
    unchanged = sum(outcome.unchanged for outcome in outcomes)
    computed = len(outcomes) - len(failed) - unchanged
    out = f", {len(failed)} left out" if failed else ""
    print(
        f"ingest: {computed} of {len(outcomes)} sweeps computed, {unchanged} unchanged{out}", file=sys.stderr
    )


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
