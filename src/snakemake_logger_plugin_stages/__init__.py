"""A run on the terminal, one line per stage: `snakemake --logger stages` (`make reproduce` uses it).

Snakemake's own output goes to its log in .snakemake/log, as always; on the terminal it comes with `--verbose` or
`--dry-run`.
"""

from __future__ import annotations

import sys
from logging import WARNING, LogRecord
from pathlib import Path

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_stages.display import show
from snakemake_logger_plugin_stages.run import Run

LOG_LINES = 12
"""Lines of a failed job's log that are shown."""
_SAID_ALREADY = (
    "RuleException",
    "Exiting because a job execution failed",
    "WorkflowError:\nAt least one job did not",
)
"""What Snakemake adds about a job whose error and log have been shown."""


class LogHandler(LogHandlerBase):
    """Snakemake's events to lines about stages."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = False
    has_formatter = False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        settings = self.common_settings
        self.own_words = bool(settings.verbose or settings.dryrun or settings.quiet)
        self.run: Run | None = None
        self.display = show(sys.stdout if settings.stdout else sys.stderr)

    def emit(self, record: LogRecord) -> None:
        """Called for every event, in one thread."""
        event = getattr(record, "event", None)
        if self.own_words:
            text = self.format(record)
            if text not in ("", "None"):
                self.display.say(text)
        elif event == LogEvent.RUN_INFO:
            self.run = Run(record.stats)  # type: ignore[attr-defined]
            self.display.start(self.run)
        elif event == LogEvent.JOB_INFO and self.run:
            self.run.begin(record.jobid, record.rule_name, record.rule_msg, record.output)  # type: ignore[attr-defined]
            self.display.update(self.run)
        elif event == LogEvent.JOB_FINISHED and self.run:
            self.run.finish(record.job_id)  # type: ignore[attr-defined]
            self.display.update(self.run)
        elif event == LogEvent.JOB_ERROR:
            self._say_error(record)
        elif self.run and str(record.msg).strip().startswith(_SAID_ALREADY):
            return
        elif record.levelno >= WARNING or (
            event is None and str(record.msg).startswith("Nothing to be done")
        ):
            self.display.say(str(record.msg))

    def close(self) -> None:
        """The end of the run: what was made, and where."""
        if self.run is not None:
            self.display.stop(self.run)
            for line in self.run.summary():
                self.display.say(line)
            self.run = None
        super().close()

    def _say_error(self, record: LogRecord) -> None:
        if self.run:
            self.run.fail(record.jobid)  # type: ignore[attr-defined]
        self.display.say(f"error in {record.rule_name}: {self.run.name_of(record.jobid) if self.run else ''}")  # type: ignore[attr-defined]
        for log in record.log:  # type: ignore[attr-defined]
            file = Path(str(log).split(" ")[0])
            if file.is_file():
                lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
                self.display.say(
                    "\n".join(f"  {line}" for line in lines[-LOG_LINES:]) + f"\n  (all of it: {file})"
                )
