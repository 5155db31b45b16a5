"""Tables, figures, claims and the pages again, from what Git holds, compared byte for byte with those that are there.

`uscl-med3d regenerate` needs no torch, no volumes and no workflow: per-case scores, learning curves, the small inputs
of figures, receipts and job files are enough.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import atomic, sha256
from uscl_med3d.core.params import load_job
from uscl_med3d.core.plan import Plan
from uscl_med3d.report.claims import build_claims, build_cost_claims
from uscl_med3d.report.figures import FigureInputs, draw
from uscl_med3d.report.html import ReportInputs, build_report
from uscl_med3d.report.image_use import build_image_use
from uscl_med3d.report.metrics import write_metrics
from uscl_med3d.report.tables import build_tables, build_training_cost
from uscl_med3d.report.tables.inference_cost import build_inference_cost
from uscl_med3d.target_pages import TARGETS, build_page
from uscl_med3d.target_pages.targets import PAGE, has_run, list_landed


@dataclass(frozen=True)
class Regenerated:
    """What came of it: files that are the same, that differ or are missing, and that were missing and are put in place."""

    same: list[str]
    different: list[str]
    restored: list[str]


@dataclass(frozen=True)
class _Stored:
    """What Git holds of a finished scale."""

    plan: Plan
    results: Path
    job: Any
    scores: list[Path]
    info: list[Path]

    @classmethod
    def of(cls, scale: str) -> _Stored:
        plan = Plan.of_results(scale)
        results = Path(plan.results)
        scores = [results / f"scores/{run}.parquet" for run in plan.runs]
        info = [results / f"curves/finetune/{run}.json" for run in plan.trained]
        job = load_job("report", results / "params/report.json")
        stored = cls(plan, results, job, scores, info)
        for path in [*scores, *info, stored.kept, stored.splits]:
            if not path.exists():
                raise InputError(
                    file=path,
                    found="no such file",
                    expected="what tables and figures are made from",
                    remedy="restore it from Git, or run the pipeline",
                )
        return stored

    @property
    def kept(self) -> Path:
        """The small inputs of figures."""
        return self.results / "figure_inputs"

    @property
    def splits(self) -> Path:
        """Patients and sweeps."""
        return Path(f"data/splits/{self.plan.scale}.csv")


def regenerate(scale: str, restore: bool = False) -> Regenerated:
    """Rebuild tables, figures, claims and pages of a finished scale in a temporary folder; compare every file.

    A scale that was only made for targets beside the default run has only their pages.

    Args:
        restore: put missing files in place: the figures and the page of the study are not in Git.
    """
    results = Path("results", scale)
    targets = [target for target in TARGETS.values() if has_run(target, results)]
    same: list[str] = []
    different: list[str] = []
    restored: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        if not targets or (results / "params/all.json").is_file():
            _build_all(_Stored.of(scale), Path(folder))
        for target in targets:
            job = load_job(target.stage, results / f"params/{target.stage}.json")
            build_page(target.name, job, list_landed(target, results), Path(folder, target.folder, PAGE))
        made = sorted(path.relative_to(folder) for path in Path(folder).rglob("*") if path.is_file())
        for path in made:
            there = results / path
            if restore and not there.is_file():
                with atomic(there) as temporary:
                    shutil.copyfile(Path(folder, path), temporary)
                restored.append(str(there))
                continue
            equal = there.is_file() and sha256(there) == sha256(Path(folder, path))
            (same if equal else different).append(str(there))
    return Regenerated(same, different, restored)


def describe(result: Regenerated) -> str:
    """The result as text, one line per file that is not the same."""
    lines = [f"{path}: differs from what scores, curves and parameters give" for path in result.different]
    lines += [f"{path}: put in place" for path in result.restored]
    return "\n".join(
        [*lines, f"{len(result.same)} files rebuilt byte for byte, {len(result.different)} differ"]
    )


def _build_all(stored: _Stored, out: Path) -> None:
    plan, results, job = stored.plan, stored.results, stored.job
    tables, labels, gate = out / "tables", stored.kept / "pseudolabels", results / "gate.json"
    parquet = [results / f"image_use/{run}.parquet" for run in plan.image_used]
    build_image_use(job, parquet, out / "image_use.csv")
    build_tables(job, stored.scores, tables, out / "image_use.csv")
    write_metrics(tables, out / "metrics.json")
    cost = [results / f"benchmarks/finetune/{run}.cost.json" for run in plan.trained]
    build_training_cost(job, stored.info, cost, tables / "training_cost.csv")
    inference = [results / f"benchmarks/inference/{run}.json" for run in plan.measured]
    build_inference_cost(job, inference, tables / "inference_cost.csv")
    build_claims(job, stored.scores, stored.info, labels, gate, out / "claims.csv")
    build_cost_claims(job, tables, out / "cost_claims.csv")
    curves = list(map(Path, plan.curves))
    shown = FigureInputs.kept(stored.kept, stored.splits, stored.scores, curves, out / "image_use.csv")
    for name in plan.figures:
        draw(name, load_job("figure", results / f"params/figure/{name}.json"), shown, out / "figures")
    inputs = ReportInputs(
        tables,
        out / "figures",
        out / "claims.csv",
        labels,
        gate,
        stored.splits,
        results / "params",
        results / "receipts/evaluate",
        results / "failures.csv",
        stored.info,
        out / "image_use.csv",
    )
    build_report(job, inputs, out / "report.html")
