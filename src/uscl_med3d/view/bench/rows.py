"""What was measured, as rows; the table and the page made of them."""

from __future__ import annotations

import csv
import io
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Unit = Literal["s", "MB"]
HEAD = (
    "model",
    "step",
    "unit",
    "runs",
    "median",
    "least",
    "largest",
    "cpu_s_median",
    "asked",
    "encoded",
    "decoded",
)


@dataclass(frozen=True)
class Row:
    """One figure, measured several times.

    Attributes:
        values: wall seconds, or megabytes (1e6 bytes).
        cpu_s: CPU-seconds of this process for the same; empty where another process did the work.
        asked: what the median should not exceed; None where nothing is asked.
        work: crops encoded and clicks decoded in all runs together; None where no network takes part.
    """

    model: str
    step: str
    unit: Unit
    values: list[float]
    cpu_s: list[float]
    asked: float | None
    work: tuple[int, int] | None = None

    @property
    def median(self) -> float:
        """Of the values."""
        return statistics.median(self.values)

    @property
    def is_missed(self) -> bool:
        """Whether the median exceeds what is asked."""
        return self.asked is not None and self.median > self.asked

    @property
    def is_missed_by_cpu(self) -> bool:
        """The same of the CPU-seconds, where there are any."""
        return self.asked is not None and bool(self.cpu_s) and statistics.median(self.cpu_s) > self.asked


def measure(
    model: str,
    step: str,
    calls: Sequence[Callable[[], None]],
    asked: float | None,
    count: Callable[[], tuple[int, int]] | None = None,
) -> Row:
    """Wall and CPU seconds of each call; `count` tells crops encoded and clicks decoded so far."""
    wall, cpu = [], []
    before = count() if count else (0, 0)
    for call in calls:
        started, used = time.perf_counter(), time.process_time()
        call()
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - used)
    after = count() if count else (0, 0)
    work = (after[0] - before[0], after[1] - before[1]) if count else None
    return Row(model, step, "s", wall, cpu, asked, work)


def to_csv(rows: Sequence[Row]) -> str:
    """A line per row."""
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(HEAD)
    for row in rows:
        numbers = (show(value, row.unit) for value in (row.median, min(row.values), max(row.values)))
        table.writerow([row.model, row.step, row.unit, len(row.values), *numbers, *_rest(row)])
    return stream.getvalue()


def describe(rows: Sequence[Row], facts: Sequence[str]) -> str:
    """The page: facts, table, and whether the medians reach what is asked."""
    lines = [
        "# Viewer benchmark",
        "",
        *facts,
        "",
        "| model | step | runs | median | least | largest | CPU-seconds | asked | encoded | decoded |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        numbers = [
            f"{show(each, row.unit)} {row.unit}" for each in (row.median, min(row.values), max(row.values))
        ]
        cpu, asked, *work = _rest(row)
        asked = f"≤ {asked} {row.unit}" if asked else ""
        lines.append(
            "| " + " | ".join([row.model, row.step, str(len(row.values)), *numbers, cpu, asked, *work]) + " |"
        )
    verdicts = [
        f"Asked of the medians: {_verdict([row for row in rows if row.is_missed])}",
        "The same of CPU-seconds, which do not count the waiting for other programs: "
        + _verdict([row for row in rows if row.is_missed_by_cpu]),
    ]
    return "\n".join([*lines, "", *verdicts, ""])


def show(value: float, unit: Unit) -> str:
    """Milliseconds of a time, whole megabytes."""
    return f"{value:.3f}" if unit == "s" else f"{value:.0f}"


def _rest(row: Row) -> list[str]:
    cpu = f"{statistics.median(row.cpu_s):.3f}" if row.cpu_s else ""
    work = ["", ""] if row.work is None else [str(number) for number in row.work]
    return [cpu, "" if row.asked is None else f"{row.asked:g}", *work]


def _verdict(missed: Sequence[Row]) -> str:
    return f"missed by {'; '.join(f'{row.model}, {row.step}' for row in missed)}." if missed else "reached."
