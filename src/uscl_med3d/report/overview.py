"""A finished scale in a few lines: what came out, and which file shows it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json


def read_overview(results: Path) -> dict[str, Any]:
    """Page, tables, figures, verdicts on the claims, the gate, and sweeps used.

    Args:
        results: results/<scale>.

    Raises:
        InputError: where there is no report page.
    """
    page = results / "report.html"
    if not page.is_file():
        scales = sorted(path.parent.name for path in results.parent.glob("*/report.html"))
        raise InputError(
            file=page,
            found="no such file",
            expected=f"a finished scale ({', '.join(scales) or 'none is here'})",
            remedy="run the pipeline (make reproduce), or name another scale by --scale",
        )
    return {
        "scale": results.name,
        "page": str(page),
        "tables": [str(path) for path in sorted((results / "tables").glob("*.csv"))],
        "figures": [str(path) for path in sorted((results / "figures").glob("*.png"))],
        "claims": _count_verdicts(results / "claims.csv"),
        "gate_passed": read_json(results / "gate.json").get("passed")
        if (results / "gate.json").is_file()
        else None,
        "sweeps": _count_sweeps(results),
    }


def describe(overview: dict[str, Any]) -> str:
    """The same for a reader."""
    sweeps, gate = overview["sweeps"], overview["gate_passed"]
    lines = [f"Results of the scale {overview['scale']}"]
    if sweeps is not None:
        left_out = sweeps["sweeps_left_out"]
        where = ": the run is not complete, the page says why" if left_out else ""
        lines.append(f"Sweeps   {sweeps['sweeps_used']} used, {left_out} left out{where}")
    if gate is not None:
        lines.append("Gate     " + ("passed" if gate else "not passed: the page says what failed"))
    if overview["claims"]:
        lines.append(
            "Claims   " + ", ".join(f"{count} {verdict}" for verdict, count in overview["claims"].items())
        )
    lines += [f"Page     {overview['page']}   (open it in a browser, or: uscl-med3d report --open)"]
    if overview["tables"]:
        lines.append(f"Tables   {len(overview['tables'])} in {Path(overview['tables'][0]).parent}/")
    if overview["figures"]:
        lines.append(f"Figures  {len(overview['figures'])} in {Path(overview['figures'][0]).parent}/")
    return "\n".join(lines)


def _count_sweeps(results: Path) -> dict[str, int] | None:
    """Those in the manifest and those that `ingest` left out; complete.json is not there where any were left out."""
    import pandas as pd

    used, left_out = results.parents[1] / f"data/splits/{results.name}.csv", results / "failures.csv"
    if not used.is_file() or not left_out.is_file():
        return None
    found = [
        pd.read_csv(file, dtype=str, keep_default_na=False)["sweep"].nunique() for file in (used, left_out)
    ]
    return dict(zip(("sweeps_used", "sweeps_left_out"), map(int, found), strict=True))


def _count_verdicts(file: Path) -> dict[str, int]:
    import pandas as pd

    if not file.is_file():
        return {}
    return dict(sorted(Counter(pd.read_csv(file)["verdict"].astype(str)).items()))
