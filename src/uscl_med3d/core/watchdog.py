"""A job ends with the scheduler that started it, and so does the scheduler's lock.

Killed without warning, Snakemake leaves its jobs behind; they would go on computing, and writing, beside those of the
next run. The Snakefile puts the scheduler's process number into the environment, and every job watches it; a scheduler
that DVC started watches DVC, and worker processes watch the job they work for. Snakemake's lock of the folder also stays
behind; the next run removes it if the process that took it is gone.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from pathlib import Path

from uscl_med3d.core.io import write_text

VARIABLE = "USCL_SCHEDULER"
"""Environment variable with `<process number>:<start time>` of the scheduler."""

_INTERVAL_S = 0.5
_LOCKS = Path(".snakemake/locks")
_HOLDER = Path(".snakemake/scheduler")


def announce() -> None:
    """Tell all jobs started from here which process to watch; called once, by the Snakefile."""
    started = _started(os.getpid())
    if started is not None:
        os.environ[VARIABLE] = f"{os.getpid()}:{started}"
    dvc = _find_dvc()
    if dvc is not None:
        _watch_process(dvc)


def watch() -> None:
    """End this process when the announced scheduler is gone; nothing happens where none was announced."""
    number, _, started = os.environ.get(VARIABLE, "").partition(":")
    if number.isdigit():
        threading.Thread(target=_wait_for_end, args=(int(number), started), daemon=True).start()


def watch_parent() -> None:
    """End this worker process with the process that started it; else it would wait for work for ever."""
    _watch_process(os.getppid())


def hold_lock() -> None:
    """Write down which process has the lock of this folder; called by the Snakefile when the lock is taken."""
    started = _started(os.getpid())
    if started is not None:
        write_text(_HOLDER, f"{platform.node()} {os.getpid()} {started}\n")


def drop_dead_lock() -> None:
    """Remove Snakemake's lock if the process that took it is gone; called by the Snakefile before the lock is taken.

    A lock of another machine stays, and so does one of which nobody wrote down whose it is.
    """
    locks = list(_LOCKS.glob("*.lock"))
    if not locks or not _HOLDER.is_file():
        return
    node, number, started = _HOLDER.read_text(encoding="utf-8").split()
    # An older note is that of an earlier run: whoever has the lock now had no time yet to write its own.
    noted = _HOLDER.stat().st_mtime_ns >= max(lock.stat().st_mtime_ns for lock in locks)
    if noted and node == platform.node() and _started(int(number)) != started:
        for lock in locks:
            lock.unlink(missing_ok=True)


def _watch_process(number: int) -> None:
    started = _started(number)
    if started is not None:
        threading.Thread(target=_wait_for_end, args=(number, started), daemon=True).start()


def _find_dvc() -> int | None:
    """The process of DVC above this one: the nearest that does not have the variables DVC gives to its commands."""
    if "DVC_STAGE" not in os.environ:
        return None
    number = os.getppid()
    try:
        while number > 1 and b"\0DVC_STAGE=" in b"\0" + Path(f"/proc/{number}/environ").read_bytes():
            number = int(_read_stat(number)[1])
    except OSError:
        return None
    return number if number > 1 else None


def _wait_for_end(number: int, started: str) -> None:
    # The start time tells the scheduler from a later process with the same number.
    while _started(number) == started:
        time.sleep(_INTERVAL_S)
    # Not sys.exit: nothing may be written any more, and a thread could not end the process with it.
    os._exit(1)


def _started(number: int) -> str | None:
    """Start time of a process in clock ticks; None if there is none, or where the system does not tell."""
    try:
        return _read_stat(number)[19]
    except OSError:
        return None


def _read_stat(number: int) -> list[str]:
    """Fields of a process from its state on: state, parent, ..."""
    # The command's name, in brackets, may itself contain spaces and brackets.
    return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
