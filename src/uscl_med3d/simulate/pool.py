"""Independent cases on several processes; the number of processes never changes a result."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

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
    with _single_threaded(), ProcessPoolExecutor(min(workers, len(cases)), mp_context=context) as pool:
        return [future.result() for future in [pool.submit(function, *case) for case in cases]]
