"""What is known of a run: jobs per stage, done and left, and the time that is left."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

STAGES = {
    "simulate": ("simulate", "simulate_general"),
    "ingest": ("ingest", "ingest_sheets"),
    "foundation": ("foundation", "foundation_compare"),
    "pseudolabel": ("pseudolabel",),
    "pretrain": ("pretrain",),
    "finetune": ("finetune",),
    "evaluate": ("evaluate", "gate", "measure"),
    "report": (
        "image_use_table",
        "tables",
        "training_cost",
        "inference_cost",
        "figure_inputs",
        "figure",
        "claims",
        "cost_claims",
        "html",
        "run_cost",
        "complete",
    ),
}
"""Stage -> its rules. A rule of no stage is a stage of its own; those that only collect others are left out."""
RULES = {
    "simulate/cohort": "simulate",
    "simulate/general": "simulate_general",
    "ingest/sheets": "ingest_sheets",
    "evaluate/gate-check": "gate",
    "report/image_use": "image_use_table",
}
"""Receipt -> its rule, where neither its folder nor, in the folder `report`, its name is the rule's."""


@dataclass
class Stage:
    """One line: jobs in all and done, names of those at work, and when it began and ended (seconds)."""

    name: str
    total: int
    done: int = 0
    failed: int = 0
    at_work: dict[int, str] = field(default_factory=dict)
    began: float | None = None
    ended: float | None = None


class Run:
    """A run as its events come.

    Args:
        stats: rule -> number of jobs, as Snakemake counts them; `total` is ignored.
        clock: seconds.
    """

    def __init__(self, stats: Mapping[str, int], clock: Callable[[], float] = time.monotonic) -> None:
        self.clock, self.began = clock, clock()
        self.stages: dict[str, Stage] = {}
        self._stage_of = {rule: stage for stage, rules in STAGES.items() for rule in rules}
        order = [rule for rules in STAGES.values() for rule in rules]
        rules = [rule for rule in stats if rule not in ("total", "all") and not rule.endswith("_all")]
        for rule in sorted(rules, key=lambda each: order.index(each) if each in order else len(order)):
            name = self._stage_of.setdefault(rule, rule)
            self.stages.setdefault(name, Stage(name, 0)).total += stats[rule]
        self.left = {rule: stats[rule] for rule in rules}
        self._jobs: dict[int, tuple[str, str, float]] = {}  # id -> rule, words, start
        self._seconds: dict[str, list[float]] = {}
        self._before: dict[str, list[float]] | None = None
        self.pages: list[str] = []

    def begin(self, job: int, rule: str, words: str | None, outputs: Sequence[str]) -> None:
        """A job is started. `words`: the rule's message, as `stage: what`."""
        if rule not in self.left:
            return
        if self._before is None and (receipts := find_receipts(outputs)) is not None:
            self._before = read_before(receipts)
        self.pages += [file for file in map(str, outputs) if Path(file).name == "report.html"]
        stage, now = self.stages[self._stage_of[rule]], self.clock()
        what = (words or rule).partition(": ")[2] or words or rule
        self._jobs[job] = (rule, what, now)
        stage.at_work[job] = what
        stage.began = now if stage.began is None else stage.began

    def finish(self, job: int) -> None:
        """A job has ended well."""
        if job not in self._jobs:
            return
        rule, _, start = self._jobs[job]
        stage, now = self.stages[self._stage_of[rule]], self.clock()
        stage.at_work.pop(job, None)
        stage.done += 1
        stage.ended = now
        self.left[rule] -= 1
        self._seconds.setdefault(rule, []).append(now - start)

    def fail(self, job: int) -> None:
        """A job has ended with an error."""
        if job in self._jobs:
            stage = self.stages[self._stage_of[self._jobs[job][0]]]
            stage.at_work.pop(job, None)
            stage.failed += 1

    def name_of(self, job: int) -> str:
        """What a job was doing."""
        return self._jobs[job][1] if job in self._jobs else ""

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self.clock() - self.began

    def time_left(self) -> str:
        """An estimate in words: jobs left times what such jobs take, over how much is done at a time.

        What a job takes is the mean of this run, else of what the jobs of an earlier run have measured of themselves. Kinds
        of jobs of which nothing is known count as nothing, and the estimate says so.
        """
        if not any(self.left.values()):
            return ""
        seconds, unknown = 0.0, 0
        for rule, left in self.left.items():
            known = self._seconds.get(rule) or (self._before or {}).get(rule)
            if left and known:
                seconds += left * sum(known) / len(known)
            else:
                unknown += left
        if not seconds:
            return "time left: not known yet"
        running = sum(self.clock() - start for _, _, start in self._running())
        done = running + sum(map(sum, self._seconds.values()))
        at_a_time = max(1.0, done / self.elapsed) if self.elapsed > 0 else 1.0
        rest = words(max(0.0, seconds - running) / at_a_time)
        return f"more than {rest} left" if unknown else f"about {rest} left"

    def summary(self) -> list[str]:
        """The last lines: how long, what failed, and what to open."""
        done, failed = (
            sum(getattr(stage, name) for stage in self.stages.values()) for name in ("done", "failed")
        )
        if failed or any(self.left.values()):
            left = sum(self.left.values()) - failed
            state = f"{count(done, 'job')} done, {failed} failed, {left} not done"
            return [f"Stopped after {words(self.elapsed)}: {state}. The same command goes on from here."]
        lines = [f"Done in {words(self.elapsed)}: {count(done, 'job')}."]
        for page in self.pages:
            folder = Path(page).parent
            lines += [
                f"Report   {page}   (open it in a browser)",
                f"Tables   {folder}/tables/   Figures  {folder}/figures/",
            ]
        return lines

    def _running(self) -> list[tuple[str, str, float]]:
        return [self._jobs[job] for stage in self.stages.values() for job in stage.at_work]


def find_receipts(outputs: Sequence[str]) -> Path | None:
    """The folder `receipts` that a job writes into; None where it writes no receipt."""
    folders = (folder for file in outputs for folder in Path(str(file)).parents)
    return next((folder for folder in folders if folder.name == "receipts"), None)


def read_before(receipts: Path) -> dict[str, list[float]]:
    """Seconds of an earlier run's jobs by rule, from `benchmarks/jobs/<stage>/<job>.json` beside the receipts."""
    found: dict[str, list[float]] = {rule: [] for rules in STAGES.values() for rule in rules}
    folder = receipts.with_name("benchmarks") / "jobs"
    for file in sorted(folder.rglob("*.json")):
        rule = rule_of(str(file.relative_to(folder).with_suffix("")))
        if rule in found:  # jobs of other targets lie there, too
            found[rule].append(float(json.loads(file.read_text(encoding="utf-8"))["wall_seconds"]))
    return found


def rule_of(receipt: str) -> str:
    """The rule of the pipeline that writes the receipt `<stage>/<job>`."""
    stage, _, job = receipt.partition("/")
    other = job if stage == "report" else stage
    return RULES.get(receipt, "figure" if receipt.startswith("report/figures/") else other)


def words(seconds: float) -> str:
    """`48 s`, `3 min`, `1 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def count(number: int, noun: str) -> str:
    """`1 job`, `2 jobs`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")
