"""Independent cases on several processes, written to one folder; their number never changes a result."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from uscl_med3d.core.io import atomic, remove
from uscl_med3d.core.watchdog import watch_parent

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextlib.contextmanager
def _single_threaded() -> Iterator[None]:
    """Children read these when they import numpy; the parent's own settings come back afterwards."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def run_cases(function: Callable[..., Any], cases: Sequence[tuple], workers: int) -> list[Any]:
    """`function(*case)` for every case, in order. `function` is a module-level function."""
    if workers == 1 or len(cases) < 2:
        return [function(*case) for case in cases]
    # spawn: forking a process that holds threads (BLAS, PyAV) can hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(cases)), mp_context=context, initializer=watch_parent)
    with _single_threaded(), pool:
        return [future.result() for future in [pool.submit(function, *case) for case in cases]]


@contextlib.contextmanager
def replacing(out_dir: str | Path, names: Sequence[str]) -> Iterator[Path]:
    """Yield an empty folder with the subfolders `names`; on success they replace those of `out_dir`.

    Other files in `out_dir` stay, and after a failure everything stays.
    """
    out = Path(out_dir)
    # A temporary directory goes through `atomic` for its clean-up; its own name is never kept.
    with atomic(out / "new") as folder:
        for name in names:
            (folder / name).mkdir(parents=True)
        yield folder
        for name in names:
            remove(out / name)
            os.replace(folder / name, out / name)
    (out / "new").rmdir()
