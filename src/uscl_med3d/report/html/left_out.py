"""The sweeps that could not be used, in the section about the cohort."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.report.html.page import cell, paragraph, table
from uscl_med3d.report.words import count

HEADER = ("Sweep", "Patient", "Split", "File", "Found", "Expected", "What to do")


def left_out(inputs: Any) -> str:
    """Every problem of every sweep that `ingest` left out; one sentence where there is none."""
    path = inputs.failures_csv
    if path is None or not Path(path).is_file():
        return paragraph("No record of sweeps that could not be used (failures.csv).", "note")
    failures = pd.read_csv(path, dtype=str, keep_default_na=False)
    if failures.empty:
        return paragraph("Every sweep of the cohort table was used.", "muted")
    number = failures["sweep"].nunique()
    text = (
        f"{count(number, 'sweep')} of the cohort table could not be used: everything on this page is made "
        "without, and the run is not complete."
    )
    rows = [[cell(value) for value in row] for row in failures.itertuples(index=False, name=None)]
    return '<h3 id="left_out">Left out</h3>' + paragraph(text, "note bad") + table(HEADER, rows)
