"""The report: one HTML file that needs no network, no script and no other file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uscl_med3d.core.io import write_text
from uscl_med3d.report.html import own, sections
from uscl_med3d.report.html.page import FOOTER, ITALICS, page
from uscl_med3d.report.html.summary import summarise

__all__ = ["ReportInputs", "build_report"]


@dataclass(frozen=True)
class ReportInputs:
    """What the page is made of; what does not exist is said to be missing. Nothing in it was measured with a clock.

    Attributes:
        tables_dir: `table1` ... as CSV and Markdown.
        figures_dir: the figures as PNG.
        claims_csv: the claims table; None where no claims are tested.
        pseudolabels_dir: `quality.csv`, `sweeps.csv`.
        gate_json: result of the gate on validation patients.
        splits_csv: patient, sweep, group, view, split.
        params_dir: the job files of this run.
        receipts_dir: the receipts of `evaluate`; weights and parameters of every run, the provenance of its numbers.
        failures_csv: what was wrong with the sweeps that were left out.
        info_files: facts about each fine-tune, `<run>.json`.
        image_use_csv: table of image use.
        sheets_dir: contact sheets of a user's own sweeps.
    """

    tables_dir: Path
    figures_dir: Path
    claims_csv: Path | None
    pseudolabels_dir: Path | None = None
    gate_json: Path | None = None
    splits_csv: Path | None = None
    params_dir: Path | None = None
    receipts_dir: Path | None = None
    failures_csv: Path | None = None
    info_files: Sequence[Path] = ()
    image_use_csv: Path | None = None
    sheets_dir: Path | None = None


def build_report(job: Any, inputs: ReportInputs, out_html: Path) -> None:
    """Write the report, one page: of the benchmark, or of a user's own cohort.

    Args:
        job: parameters of the stage `report`.
        inputs: files of the run.
        out_html: the page.
    """
    mine = job.benchmark is False
    chosen = own.SECTIONS if mine else sections.SECTIONS
    if inputs.sheets_dir is None:
        chosen = tuple(one for one in chosen if one[0] != "sheets")
    parts = [(name, title, build(job, inputs)) for name, title, build in chosen]
    summary = own.summarise(job, inputs) if mine else summarise(inputs)
    footer = FOOTER if mine else FOOTER + ITALICS
    write_text(out_html, page(f"USCL-Med3D: report of the run “{job.scale}”", summary, parts, footer))
