"""Lines on a terminal, drawn anew as the run goes on; elsewhere a line when a stage begins and when it ends."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from snakemake_logger_plugin_stages.run import Run, Stage, count, words

_WIDTH = 28


def show(stream: TextIO) -> Lines | Bars:
    """The display for a stream."""
    return Bars(stream) if stream.isatty() else Lines(stream)


class Lines:
    """For a file or a pipe."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._begun: set[str] = set()
        self._ended: set[str] = set()

    def say(self, text: str) -> None:
        """One message."""
        print(text, file=self.stream, flush=True)

    def start(self, run: Run) -> None:
        """Before the first job."""
        total = sum(stage.total for stage in run.stages.values())
        self.say(f"{count(total, 'job')} in {count(len(run.stages), 'stage')}")

    def update(self, run: Run) -> None:
        """After every event."""
        for stage in run.stages.values():
            if stage.began is not None and stage.name not in self._begun:
                self._begun.add(stage.name)
                self.say(f"{stage.name}: {count(stage.total, 'job')}")
            if stage.done == stage.total and stage.name not in self._ended:
                self._ended.add(stage.name)
                left = run.time_left()
                self.say(f"{stage.name}: done in {words(_seconds(run, stage))}{'; ' if left else ''}{left}")

    def stop(self, run: Run) -> None:
        """After the last job."""


class Bars:
    """For a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self.console = Console(file=stream, highlight=False)
        self._live: Live | None = None

    def say(self, text: str) -> None:
        """One message, above the bars."""
        self.console.print(text, markup=False, soft_wrap=True)

    def start(self, run: Run) -> None:
        """Before the first job."""
        self._live = Live(
            _Drawn(run),
            console=self.console,
            refresh_per_second=2,
            redirect_stderr=False,
            redirect_stdout=False,
        )
        self._live.start()

    def update(self, run: Run) -> None:
        """After every event."""

    def stop(self, run: Run) -> None:
        """After the last job."""
        if self._live is not None:
            self._live.stop()


class _Drawn:
    """Asked for its lines twice a second."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def __rich__(self) -> Table:
        table = Table.grid(padding=(0, 1))
        for stage in self.run.stages.values():
            state = (
                "✗" if stage.failed else "✓" if stage.done == stage.total else "▸" if stage.at_work else " "
            )
            time = words(_seconds(self.run, stage)) if stage.began is not None else ""
            bar = ProgressBar(total=stage.total, completed=stage.done, width=_WIDTH)
            table.add_row(
                f"{state} {stage.name}",
                bar,
                f"{stage.done} of {stage.total}",
                time,
                ", ".join(stage.at_work.values())[:48],
            )
        left = self.run.time_left()
        if left:
            table.add_row("", "", "", words(self.run.elapsed), left)
        return table


def _seconds(run: Run, stage: Stage) -> float:
    end = stage.ended if stage.ended is not None and not stage.at_work else run.clock()
    return end - (stage.began if stage.began is not None else end)
