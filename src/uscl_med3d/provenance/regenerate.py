"""Tables and figures again, from what Git holds alone, compared byte for byte with those that are there.

`uscl-med3d regenerate` needs no torch, no volumes and no workflow: per-case scores, learning curves and the job files
are enough for every table and for most curves. What needs a file that is not here is listed with the reason.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import sha256
from uscl_med3d.core.params import load_job
from uscl_med3d.core.plan import Plan
from uscl_med3d.report.claims import build_claims
from uscl_med3d.report.figures import FigureInputs, draw
from uscl_med3d.report.metrics import write_metrics
from uscl_med3d.report.tables import build_tables, build_training_cost
from uscl_med3d.report.tables.inference_cost import build_inference_cost


class _NotHere(Exception):
    """A file that an output needs is not in this checkout."""


class _Held(FigureInputs):
    """Inputs of a figure that say so when a figure asks for what is not here, instead of drawing a gap."""

    def __getattribute__(self, name: str) -> Any:
        value = object.__getattribute__(self, name)
        if name in ("volumes_dir", "pseudolabels_dir", "predictions"):
            paths = value if isinstance(value, list) else [value]
            for path in paths:
                _require(path)
        return value


@dataclass(frozen=True)
class Regenerated:
    """What came of it: files that are the same, that differ, and outputs that could not be made with the reason."""

    same: list[str]
    different: list[str]
    skipped: dict[str, str]


def regenerate(scale: str) -> Regenerated:
    """Rebuild tables, claims and figures of a finished scale in a temporary folder and compare every file."""
    plan = Plan.of_results(scale)
    same: list[str] = []
    different: list[str] = []
    skipped: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, build in _list_outputs(plan, Path(folder)):
            try:
                build()
            except _NotHere as missing:
                skipped[name] = str(missing)
        made = sorted(path.relative_to(folder) for path in Path(folder).rglob("*") if path.is_file())
        for path in made:
            there = Path(plan.results, path)
            equal = there.is_file() and sha256(there) == sha256(Path(folder, path))
            (same if equal else different).append(str(there))
    return Regenerated(same, different, skipped)


def describe(result: Regenerated) -> str:
    """The result as text, one line per file that is not the same."""
    lines = [f"{path}: differs from what scores, curves and parameters give" for path in result.different]
    lines += [f"{name}: not rebuilt, {reason}" for name, reason in result.skipped.items()]
    return "\n".join(
        [*lines, f"{len(result.same)} files rebuilt byte for byte, {len(result.different)} differ"]
    )


def _list_outputs(plan: Plan, out: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    results = Path(plan.results)
    job = load_job("report", results / "params/report.json")
    scores = [results / f"scores/{run}.parquet" for run in plan.runs]
    missing = [path for path in scores if not path.is_file()]
    if missing:
        raise InputError(file=missing[0], found="no such file", expected="the per-case scores of every run",
                         remedy="restore it from Git, or run the pipeline")  # fmt: skip
    info = [results / f"curves/finetune/{run}.json" for run in plan.trained]
    cost = [results / f"benchmarks/finetune/{run}.cost.json" for run in plan.trained]
    inference = [results / f"benchmarks/inference/{run}.json" for run in plan.measured]
    labels = results / "pseudolabels"
    inputs = _Held(results / "volumes", Path(f"data/splits/{plan.scale}.csv"), labels, scores,
                   [Path(path) for path in plan.curves],
                   [results / "predictions" / run for run in plan.main_runs.values()])  # fmt: skip

    def make_tables() -> None:
        build_tables(job, scores, out / "tables")
        write_metrics(out / "tables", out / "metrics.json")

    def make_claims() -> None:
        _require(labels / "quality.csv")
        build_claims(job, out / "tables", scores, out / "claims.csv", labels)

    yield "tables", make_tables
    yield "training cost", lambda: build_training_cost(job, info, cost, out / "tables/training_cost.csv")
    yield "inference cost", lambda: build_inference_cost(job, inference, out / "tables/inference_cost.csv")
    yield "claims", make_claims
    for name in plan.figures:
        own = load_job("figure", results / f"params/figure/{name}.json")
        yield f"figure {name}", partial(draw, name, own, inputs, out / "figures")
    yield "report.html", lambda: _require(None)


def _require(path: Path | None) -> None:
    if path is None:
        raise _NotHere("it holds all of the above and images of pseudo-labels: snakemake makes it")
    if not path.exists():
        raise _NotHere(f"it needs {path}, which Git does not hold (make pull)")
