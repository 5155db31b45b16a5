"""The report: one HTML file that needs no network, no script and no other file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uscl_med3d.core.io import write_text
from uscl_med3d.report.html import sections
from uscl_med3d.report.html.page import page

__all__ = ["ReportInputs", "build_report"]


@dataclass(frozen=True)
class ReportInputs:
    """What the page is made of; what does not exist is said to be missing."""

    tables_dir: Path
    figures_dir: Path
    claims_csv: Path
    pseudolabels_dir: Path | None
    gate_json: Path | None
    splits_csv: Path | None
    params_dir: Path | None
    receipts_dir: Path | None
    failures_csv: Path | None


def build_report(
    job: Any, tables_dir: Path, figures_dir: Path, claims_csv: Path, pseudolabels_dir: Path | None,
    gate_json: Path | None, splits_csv: Path | None, params_dir: Path | None, receipts_dir: Path | None,
    out_html: Path, failures_csv: Path | None = None,
) -> None:  # fmt: skip
    """Write the report.

    Args:
        job: parameters of the stage `report`.
        tables_dir: `table1` ... and `training_cost`, `inference_cost`, as CSV.
        figures_dir: the figures as PNG.
        claims_csv: the claims table.
        pseudolabels_dir: `quality.csv`, `sweeps.csv`, `summary.json`.
        gate_json: result of the gate on validation patients.
        splits_csv: patient, sweep, group, view, split.
        params_dir: the job files of this run.
        receipts_dir: the receipts of `evaluate`; weights and parameters of every run, the provenance of its numbers.
        out_html: the page.
        failures_csv: what was wrong with the sweeps that were left out.
    """
    inputs = ReportInputs(
        Path(tables_dir), Path(figures_dir), Path(claims_csv), pseudolabels_dir, gate_json, splits_csv, params_dir,
        receipts_dir, failures_csv,
    )  # fmt: skip
    parts = [(name, title, build(job, inputs)) for name, title, build in sections.SECTIONS]
    write_text(out_html, page(f"USCL-Med3D: report of the run “{job.scale}”", parts))
