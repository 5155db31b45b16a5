"""The sections of the report, each made from files of the run."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.core.io import read_json
from uscl_med3d.report.claims import explain
from uscl_med3d.report.figures import find_figure
from uscl_med3d.report.gate import read_blind
from uscl_med3d.report.html.cost import cost
from uscl_med3d.report.html.image_use import image_use
from uscl_med3d.report.html.left_out import left_out
from uscl_med3d.report.html.page import cell, facts, figure, paragraph, side_by_side, table
from uscl_med3d.report.html.provenance import provenance
from uscl_med3d.report.html.pseudolabels import pseudolabels
from uscl_med3d.report.html.sheets import sheets
from uscl_med3d.report.html.tables import table_section


def _figure(inputs: Any, name: str) -> str:
    module = find_figure(name)
    return figure(inputs.figures_dir / f"{name}.png", module.TITLE, module.CAPTION)


def overview(job: Any, inputs: Any) -> str:
    """What this is, the gate, and the verdicts in one line."""
    parts = [
        paragraph(
            "Promptable 3D segmentation of ultrasound sweeps: a few annotated key frames become pseudo-labels "
            "(SegGPT), a SAM-Med3D encoder learns context from unlabelled sweeps (VCL), and low-rank adapters (LoRA) "
            "tune it. The paper's data and weights are not public; this run measures its steps and its claims on "
            "other data, so its numbers stand beside the paper's and are no reproduction of them."
        ),
        gate(inputs),
    ]
    if inputs.claims_csv is not None and inputs.claims_csv.is_file():
        verdicts = pd.read_csv(inputs.claims_csv)["verdict"].str.split(" ").str[0].value_counts()
        names = {
            "supported": "supported",
            "contradicted": "contradicted",
            "undecided": "undecided",
            "not": "not testable",
        }
        found = [(int(verdicts.get(name, 0)), words) for name, words in names.items()]
        parts.append(facts((str(n), f"{'claim' if n == 1 else 'claims'} {words}") for n, words in found))
    return "".join(parts)


def gate(inputs: Any) -> str:
    """Whether the small model means something."""
    if inputs.gate_json is None or not Path(inputs.gate_json).is_file():
        return paragraph(
            "The gate on validation patients was not run (no reference masks, or not yet).", "note"
        )
    result, blind = read_json(inputs.gate_json), read_blind(inputs.gate_json)
    judged = [found["method"] for found in result["image_use"].values()]
    seeing = [name for name in judged if name not in blind]
    marked = [f"{name} {blind[name]}" for name in judged if name in blind]
    beaten = [
        f"{found['method']} {found['dice']:.1f}" for found in result["blind"].values() if not found["passed"]
    ]
    parts = []
    if seeing:
        parts.append(f"Look at the image: {', '.join(seeing)}.")
    if marked:
        parts.append(
            f"Looking too little, so that claims about their training are not tested: {'; '.join(marked)}."
        )
    if beaten:
        parts.append(f"Not above a row that looks at nothing (Dice): {', '.join(beaten)}.")
    if result["passed"]:
        return paragraph(" ".join(["Gate passed on validation patients.", *parts]), "note good")
    failures = "; ".join(result["failures"])
    return paragraph(
        f"Gate NOT passed on validation patients: {failures}. Comparisons of these models say little. {' '.join(parts)}",
        "note bad",
    )


def cohort(job: Any, inputs: Any) -> str:
    """Patients and sweeps by group and split, and what was left out."""
    if inputs.splits_csv is None or not Path(inputs.splits_csv).is_file():
        return paragraph("No split file.", "note") + left_out(inputs)
    splits = pd.read_csv(inputs.splits_csv, dtype=str)
    counts = splits.groupby(["group", "split"]).agg(
        patients=("patient", "nunique"), sweeps=("sweep", "nunique")
    )
    rows = [
        [cell(group), cell(split), cell(str(row.patients), "number"), cell(str(row.sweeps), "number")]
        for (group, split), row in zip(counts.index, counts.itertuples(), strict=True)
    ]
    test = splits[splits["split"] == "test"]
    parts = [
        facts(
            [
                _fact(splits["patient"].nunique(), "patient"),
                _fact(splits["sweep"].nunique(), "sweep"),
                _fact(test["patient"].nunique(), "test patient"),
                (str(len(job.classes)), "class" if len(job.classes) == 1 else "classes"),
            ]
        ),
        table(("Group", "Split", "Patients", "Sweeps"), rows),
        paragraph("Splits are by patient; the same file governs every stage.", "muted"),
        left_out(inputs),
    ]
    return "".join(parts)


def cohort_and_example(job: Any, inputs: Any) -> str:
    """The cohort, and Figure 1."""
    return cohort(job, inputs) + _figure(inputs, "fig1")


def _fact(number: int, noun: str) -> tuple[str, str]:
    return str(number), noun if number == 1 else f"{noun}s"


def method(job: Any, inputs: Any) -> str:
    """Figures 4 and 5."""
    return _figure(inputs, "fig4") + _figure(inputs, "fig5")


def training(job: Any, inputs: Any) -> str:
    """Learning curves."""
    return _figure(inputs, "learning_curves")


def results(job: Any, inputs: Any) -> str:
    """All tables."""
    return table_section(job, inputs)


def pictures(job: Any, inputs: Any) -> str:
    """Curves and comparisons."""
    names = ("click_curves", "rank_curve", "forgetting")
    return _figure(inputs, "cases") + side_by_side(_figure(inputs, name) for name in names)


def errors(job: Any, inputs: Any) -> str:
    """The qualitative figure and the worst cases."""
    return _figure(inputs, "fig6") + _figure(inputs, "failures")


def claims(job: Any, inputs: Any) -> str:
    """The claims table with coloured verdicts."""
    if inputs.claims_csv is None or not inputs.claims_csv.is_file():
        return paragraph("No claims table.", "note")
    rows = []
    for row in pd.read_csv(inputs.claims_csv).to_dict("records"):
        kind = str(row["verdict"]).split(" ")[0]
        badge = f'<td><span class="verdict {kind}">{escape(row["verdict"])}</span></td>'
        where = f'<br><span class="muted">{escape(str(row["source"]))}</span>'
        text = f'<td class="long" id="claim-{escape(row["id"])}">{escape(row["claim"])}{where}</td>'
        test = f'<br><span class="muted">Test: {escape(row["test"])}</span>'
        why = f'<td class="long" data-label="Why">{escape(row["why"])}{test}</td>'
        rows.append([text, badge, _estimate(row), why, _paper(row)])
    header = ("Claim of the paper", "Verdict here", "Estimate", "Why", "The paper's own numbers")
    return paragraph(explain(job), "muted") + table(header, rows, "claims")


def _paper(row: dict[Any, Any]) -> str:
    return f'<td class="long" data-label="Paper">{escape(str(row["paper_numbers"]))}</td>'


def _estimate(row: dict[Any, Any]) -> str:
    if pd.isna(row["estimate"]):
        return '<td class="number" data-label="Estimate">–</td>'
    interval = ""
    if pd.notna(row["ci_low"]):
        interval = f'<span class="interval">[{_fixed(row["ci_low"], 1)}, {_fixed(row["ci_high"], 1)}]</span>'
    value = _fixed(row["estimate"], 2 if abs(row["estimate"]) < 10 else 1)
    return f'<td class="number" data-label="Estimate">{value}{interval}</td>'


def _fixed(value: float, digits: int) -> str:
    """A number without a negative zero."""
    return f"{round(value, digits) + 0.0:.{digits}f}"


SECTIONS: tuple[tuple[str, str, Callable[[Any, Any], str]], ...] = (
    ("overview", "Overview", overview),
    ("cohort", "Cohort", cohort_and_example),
    ("sheets", "What was read", sheets),
    ("pseudolabels", "Pseudo-labels", pseudolabels),
    ("method", "Method", method),
    ("training", "Training", training),
    ("image_use", "Image use", image_use),
    ("tables", "Tables", results),
    ("figures", "Figures", pictures),
    ("errors", "Errors", errors),
    ("claims", "Claims", claims),
    ("cost", "Cost", cost),
    ("provenance", "Provenance", provenance),
)
