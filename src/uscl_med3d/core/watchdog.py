"""A job ends with the scheduler that started it.

Killed without warning, Snakemake leaves its jobs behind; they would go on computing, and writing, beside those of the
next run. The Snakefile puts the scheduler's process number into the environment, and every job watches it.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

VARIABLE = "USCL_SCHEDULER"
"""Environment variable with `<process number>:<start time>` of the scheduler."""

_INTERVAL_S = 0.5


def announce() -> None:
    """Tell all jobs started from here which process to watch; called once, by the Snakefile."""
    started = _started(os.getpid())
    if started is not None:
        os.environ[VARIABLE] = f"{os.getpid()}:{started}"


def watch() -> None:
    """End this process when the announced scheduler is gone; nothing happens where none was announced."""
    number, _, started = os.environ.get(VARIABLE, "").partition(":")
    if number.isdigit():
        threading.Thread(target=_wait_for_end, args=(int(number), started), daemon=True).start()


def _wait_for_end(number: int, started: str) -> None:
    # The start time tells the scheduler from a later process with the same number.
    while _started(number) == started:
        time.sleep(_INTERVAL_S)
    # Not sys.exit: nothing may be written any more, and a thread could not end the process with it.
    os._exit(1)


def _started(number: int) -> str | None:
    """Start time of a process in clock ticks; None if there is none, or where the system does not tell."""
    try:
        # The command's name, in brackets, may itself contain spaces and brackets.
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None
