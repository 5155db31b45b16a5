"""The scale `paper` at full size, run once from nothing."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from checkout import copy_repository
from full_run import SCALES, FullRun
from official_files import write

SAID: list[str] = []
"""What the run cost, printed at the end."""


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullRun]:
    """Official files put in place, a cohort made, and every stage run. Its weights (9 GB) go when the tests have ended."""
    run = FullRun(copy_repository(tmp_path_factory.mktemp("full")).folder)
    try:
        for seed, (model, place) in enumerate(run.official.items()):
            write(model, place, seed)
        run.snakemake("--quiet", "rules", "--config", "cohort=simulate", "--", "simulate", scale=SCALES)
        begun = time.monotonic()
        run.snakemake("--quiet", "rules", scale=SCALES)
        seconds, jobs = time.monotonic() - begun, run.cost()
        dearest = max(jobs, key=lambda job: job["peak_memory_mb"])
        SAID.append(
            f"scale paper at full size: {seconds / 60:.1f} min by the clock on two cores, "
            f"{sum(job['cpu_seconds'] for job in jobs) / 60:.1f} min of processors in {len(jobs)} jobs; most memory "
            f"{dearest['peak_memory_mb'] / 1024:.1f} GiB ({dearest['stage']} {dearest['job']})"
        )
        yield run
    finally:
        for place in ("data/external", "results/full/checkpoints"):
            shutil.rmtree(run.folder / place, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for line in SAID:
        terminalreporter.write_line(line)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.full)
