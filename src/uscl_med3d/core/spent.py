"""What a job has cost: seconds, processor seconds and memory, measured by the job itself when it has ended.

Kept apart from everything else, because it differs from run to run: a job with the receipt
`results/<scale>/receipts/<stage>/<job>.json` leaves `results/<scale>/benchmarks/jobs/<stage>/<job>.json`.
Samplers from outside miss most of a short job, so the numbers are the system's own account of the process and of the
processes that it has started and waited for (`getrusage`).
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

from uscl_med3d.core.io import write_json

STARTED = time.monotonic()
"""When this module was imported: the command line does so first of all."""

JOBS = "benchmarks/jobs"


def write_spent(receipt: Path) -> None:
    """Write what this process has cost so far, at the place that belongs to a receipt.

    Nothing is written for a receipt outside a folder `receipts`: a job run by hand.
    """
    path = find_spent(receipt)
    if path is None:
        return
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    # Kilobytes on Linux, bytes on macOS.
    unit = 1024**2 if sys.platform == "darwin" else 1024
    write_json(
        path,
        {
            "wall_seconds": round(time.monotonic() - STARTED, 2),
            "cpu_seconds": round(own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime, 2),
            "peak_memory_mb": round(max(own.ru_maxrss, others.ru_maxrss) / unit, 1),
        },
    )


def find_spent(receipt: Path) -> Path | None:
    """Where the job with this receipt says what it has cost; None outside a folder `receipts`."""
    parts = receipt.parts
    if "receipts" not in parts[:-1]:
        return None
    place = len(parts) - 1 - parts[::-1].index("receipts")
    return Path(*parts[:place], JOBS, *parts[place + 1 :])
