"""A checkout of its own whose default scale is tiny; how jobs are counted, compared, measured and waited for."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from checkout import ROOT, Checkout

from uscl_med3d.core.params.files import read_defaults
from uscl_med3d.core.params.report import SHOWN_IN

RESULTS = "results/phantom"
MEASURED = (
    "benchmarks/",
    "logs/",
    "training_cost.",
    "inference_cost.",
    "cost_claims.",
)
"""Names of files that hold measured seconds, and of their receipts."""

COST = {"training_cost": 1, "inference_cost": 1, "cost_claims": 1}
TEXTS = COST | {"tables": 1, "figure_inputs": 1, "claims": 1, "html": 1, "complete": 1, "run_cost": 1}
DRAWN = yaml.safe_load((ROOT / "workflow/scales/contract.yaml").read_text())["figures"]["drawn"]
"""Figures of the small scale."""

COLOURED = {"figure": len(set(DRAWN) & set(SHOWN_IN["colours"])), "html": 1, "complete": 1, "run_cost": 1}
"""Jobs after a changed colour: rule -> count."""

REPORT = TEXTS | {"figure": len(DRAWN)}
"""Jobs of the stage `report`: rule -> count."""

JUDGED = {"gate": 1, "image_use_table": 1}
"""Jobs after new scores of a run that is held to its use of the image: rule -> count."""

STEPS_CHANGED = {"evaluate": 3, "measure": 1} | JUDGED | REPORT
"""Jobs started after other fine-tunes. A plan counts one more: the ball is fitted anew, its small file comes out as it was,
and Snakemake, which compares small files by content, does not score it again."""

SECONDS: dict[str, tuple[float, float]] = {}
"""Measured figures of docs/contract.md, printed at the end: seconds, and of these seconds of processors."""


class Repository(Checkout):
    """A checkout whose default scale is the small one."""

    @property
    def results(self) -> Path:
        return self.folder / RESULTS

    def environment(self) -> dict[str, str]:
        """Variables of every command: this checkout's code, this Python's tools, an author for commits."""
        author = {
            f"GIT_{role}_{key}": value
            for role in ("AUTHOR", "COMMITTER")
            for key, value in (("NAME", "Contract"), ("EMAIL", "contract@example.org"))
        }
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return (
            os.environ
            | author
            | {"PYTHONPATH": str(self.folder / "src"), "PATH": path, "DVC_NO_ANALYTICS": "1"}
        )

    def run(self, *command: str, ok: bool = True) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert (done.returncode == 0) == ok, (
            f"{' '.join(command)} -> {done.returncode}\n{done.stdout[-6000:]}"
        )
        return done.stdout

    def start(self, *command: str) -> subprocess.Popen:
        """A command in the background, in a session of its own."""
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment(),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def make(self, target: str, *settings: str) -> tuple[str, ...]:
        """The command line of a make target, with the environment that runs the tests."""
        return ("make", "-o", "env", target, f"VENV={sys.prefix}", *settings)

    def planned(self) -> dict[str, int]:  # type: ignore[override]
        """Jobs that Snakemake would run now: rule -> count, without the target `all`."""
        return count_jobs(self.run("snakemake", "--cores", "2", "--dry-run", "--quiet", "rules"))

    def idle_in_dvc(self) -> str:
        """What DVC says about changes."""
        return self.run("dvc", "status").strip().splitlines()[-1]

    def repro(self) -> dict[str, int]:
        """Run what DVC finds changed; jobs that really ran: rule -> count."""
        return count_started(self.run("dvc", "repro"))

    def params(self) -> dict[str, Any]:
        """Default values, of all their files."""
        return read_defaults(self.folder)

    def write_params(self, values: dict[str, Any]) -> None:
        """Write default values back to where they are read from; files that do not change are left alone."""
        contents = {
            f"params/foundation/{name}.yaml": {"foundation": {name: value}}
            for name, value in values["foundation"].items()
        }
        apart = {"foundation"}
        main = yaml.safe_load((self.folder / "params.yaml").read_text())["methods"].keys()
        contents["params/methods.yaml"] = {
            "methods": {name: {} if name in main else value for name, value in values["methods"].items()}
        }
        for file in ("params/simulate.yaml", "params/ssl.yaml", "params/stills.yaml"):
            sections = list(yaml.safe_load((self.folder / file).read_text()))
            contents[file] = {section: values[section] for section in sections}
            apart |= set(sections)
        kept = {key: value for key, value in values.items() if key not in apart}
        kept["methods"] = {name: value for name, value in values["methods"].items() if name in main}
        contents["params.yaml"] = kept
        for file, content in contents.items():
            path = self.folder / file
            if yaml.safe_load(path.read_text()) != content:
                path.write_text(yaml.safe_dump(content, sort_keys=False))

    def change(self, dotted: str, value: Any) -> None:
        """Set one default value."""
        values = self.params()
        *parents, last = dotted.split(".")
        node = values
        for key in parents:
            node = node[key]
        assert node[last] != value
        node[last] = value
        self.write_params(values)

    def commit(self, message: str) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def contents(self, *parts: str) -> dict[str, bytes]:
        """Every file of the results that must be the same in every run: name -> bytes."""
        files = [path for part in parts or ("",) for path in sorted((self.results / part).rglob("*"))]
        names = {path.relative_to(self.results).as_posix(): path for path in files if path.is_file()}
        found = {
            name: path.read_bytes()
            for name, path in names.items()
            if not any(word in name for word in MEASURED) and "/." not in f"/{name}"
        }
        return found

    def processes(self) -> list[psutil.Process]:
        """Processes that work in this checkout, but for this one."""
        found = []
        for process in psutil.process_iter():
            try:
                inside = Path(process.cwd()).is_relative_to(self.folder)
                if inside and process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found


def count_jobs(output: str) -> dict[str, int]:
    """The table of jobs in Snakemake's output, but for targets that only name files."""
    jobs: dict[str, int] = {}
    for line in output.splitlines():
        words = line.split()
        if len(words) == 2 and words[1].isdigit():
            jobs[words[0]] = int(words[1])
    return {rule: count for rule, count in jobs.items() if rule != "total" and not rule.endswith("all")}


def count_started(output: str) -> dict[str, int]:
    """Jobs that a run started, by the messages of the rules (`finetune: uscl_med3d_r8_both_vcl`)."""
    messages = {
        "simulate: ultrasound": "simulate",
        "simulate: general": "simulate_general",
        "evaluate: gate": "gate",
        "evaluate: cost of": "measure",
        "report: image use": "image_use_table",
        "report: tables": "tables",
        "report: training cost": "training_cost",
        "report: inference cost": "inference_cost",
        "report: inputs of figures": "figure_inputs",
        "report: claims about cost": "cost_claims",
        "report: cost of the run": "run_cost",
        "report: claims": "claims",
        "report: page": "html",
        "report: complete": "complete",
        "report: ": "figure",
    }
    started: Counter[str] = Counter()
    for line in output.splitlines():
        head, found, message = line.partition(": ")
        if found and head.startswith("Job ") and head[4:].isdigit():
            rule = next((rule for start, rule in messages.items() if message.startswith(start)), None)
            started[rule or message.partition(":")[0]] += 1
    return dict(started)


def equal(first: dict[str, bytes], second: dict[str, bytes]) -> list[str]:
    """Names of files that differ or that only one side has."""
    return sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))


def wait_until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """The first true value of a condition."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    pytest.fail(f"{what}: not within {seconds:g} s")


def merge(values: dict, overlay: dict) -> None:
    """Snakemake's rule for several configuration files: mappings are merged, everything else is replaced."""
    for key, value in overlay.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            merge(values[key], value)
        else:
            values[key] = value


class measure:
    """Keep under a name how long a block takes, and the processor time of the commands in it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> measure:
        self.start, self.before = time.monotonic(), os.times()
        return self

    def __exit__(self, *failed: object) -> None:
        after = os.times()
        self.seconds = time.monotonic() - self.start
        self.processor = sum(after[2:4]) - sum(self.before[2:4])
        SECONDS[self.name] = (self.seconds, self.processor)
