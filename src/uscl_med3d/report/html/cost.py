"""The section about cost: what is counted. What a clock measured stands in files of its own, other in every run."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from uscl_med3d.core.io import read_json
from uscl_med3d.core.runs import list_runs
from uscl_med3d.report.html.page import cell, long_table, paragraph
from uscl_med3d.report.html.provenance import read_origins

HEADER = ("Run", "Trainable parameters", "of all", "Steps")
NOTE = (
    "Seconds and memory differ from run to run and from machine to machine. They are kept beside this page, so that the "
    "page is the same wherever it is made:"
)
FILES = {
    "tables/training_cost.md": "training: seconds and memory of each fine-tune, beside the paper's",
    "tables/inference_cost.md": "inference: operations, seconds to the first and to a further click, memory",
    "cost_claims.md": "the paper's claims about time and memory",
    "benchmarks/run.csv": "every job of this run: seconds, processor seconds, memory",
}
OWN_FILES = {path: text for path, text in FILES.items() if path != "cost_claims.md"} | {
    "tables/training_cost.md": "training: seconds and memory of each fine-tune"
}
"""Of a user's own cohort."""


def cost(job: Any, inputs: Any) -> str:
    """How much each fine-tune trains, and where to find what it took."""
    facts = {Path(path).stem: read_json(path) for path in inputs.info_files}
    runs = [run for run in list_runs(job.methods, job.training_seeds) if run.id in facts]
    known = set(read_origins(inputs.receipts_dir))
    files = FILES if job.benchmark is not False else OWN_FILES
    listed = "".join(f'<li><a href="{path}">{path}</a>: {escape(text)}</li>' for path, text in files.items())
    sizes = long_table(HEADER, [_row(run.id, facts[run.id], known) for run in runs]) if runs else ""
    return (
        f"{sizes or paragraph('No fine-tune says what it trains.', 'note')}"
        f'{paragraph(NOTE, "muted")}<ul class="muted">{listed}</ul>'
    )


def _row(run: str, facts: dict[str, Any], known: set[str]) -> list[str]:
    name = escape(run)
    link = f'<td><a href="#origin-{name}">{name}</a></td>' if run in known else cell(run)
    values = (facts.get(key) for key in ("trainable_parameters", "total_parameters", "steps"))
    return [link, *(cell("–" if value is None else f"{value:,}", "number") for value in values)]
