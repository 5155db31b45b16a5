"""Every claim of the paper, tested here: supported, contradicted or undecided, with the interval that decides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.core.io import read_json, write_csv, write_text
from uscl_med3d.report.claims.claim import COLUMNS, Claim, Evidence
from uscl_med3d.report.claims.cost import MEASURED_CLAIMS, MEASURED_NOTE, SIZE_CLAIMS
from uscl_med3d.report.claims.general import GENERAL_CLAIMS
from uscl_med3d.report.claims.pseudolabels import PSEUDOLABEL_CLAIMS
from uscl_med3d.report.claims.training import TRAINING_CLAIMS
from uscl_med3d.report.claims.ultrasound import ULTRASOUND_CLAIMS
from uscl_med3d.report.claims.verdict import decide
from uscl_med3d.report.gate import read_blind
from uscl_med3d.report.scores import read_scores
from uscl_med3d.report.tables.context import Context

CLAIMS: tuple[Claim, ...] = (
    *PSEUDOLABEL_CLAIMS,
    *ULTRASOUND_CLAIMS,
    *GENERAL_CLAIMS,
    *TRAINING_CLAIMS,
    *SIZE_CLAIMS,
)

__all__ = ["CLAIMS", "MEASURED_CLAIMS", "build_claims", "build_cost_claims"]


def build_claims(
    job: Any,
    scores: Sequence[Path],
    info_files: Sequence[Path],
    pseudolabels_dir: Path | None,
    gate_json: Path | None,
    out_csv: Path,
) -> None:
    """Write the claims table as CSV, and as Markdown beside it; nothing in it was measured with a clock.

    Args:
        job: parameters of the stage `report`.
        scores: per-case score files; intervals and tests are computed from them, not from rounded tables.
        info_files: facts about each fine-tune, `<run>.json`: how many parameters it trains.
        pseudolabels_dir: folder with `quality.csv`, for the claim about pseudo-labels; without it undecided.
        gate_json: result of the gate: claims about training are not tested on models that ignore the image.
        out_csv: path of the table.
    """
    evidence = Evidence(
        Context.of(job, read_scores(scores)),
        pseudolabels_dir=pseudolabels_dir,
        blind=read_blind(gate_json),
        sizes={Path(path).stem: read_json(path)["trainable_parameters"] for path in info_files},
    )
    _write(CLAIMS, evidence, out_csv, explain(job))


def build_cost_claims(job: Any, tables_dir: Path, out_csv: Path) -> None:
    """Write the claims about measured seconds and memory, as `build_claims` does, into a file of their own.

    Args:
        job: parameters of the stage `report`.
        tables_dir: folder with `training_cost.csv` and `inference_cost.csv`.
        out_csv: path of the table.
    """
    _write(MEASURED_CLAIMS, Evidence(Context.empty(job), tables_dir=Path(tables_dir)), out_csv, MEASURED_NOTE)


def _write(claims: Sequence[Claim], evidence: Evidence, out_csv: Path, note: str) -> None:
    frame = pd.DataFrame(decide(claims, evidence), columns=list(COLUMNS))
    write_csv(out_csv, frame)
    write_text(Path(out_csv).with_suffix(".md"), to_markdown(frame, note))


def to_markdown(frame: pd.DataFrame, note: str) -> str:
    """The claims as a Markdown table, with how verdicts come about below."""
    names = [
        "Id",
        "Claim of the paper",
        "Where",
        "Verdict here",
        "Estimate",
        "Why",
        "The paper's own numbers",
    ]
    lines = ["**Claims of the paper, tested on this run**", "", _line(names), _line(["---"] * len(names))]
    for row in frame.to_dict("records"):
        estimate = "–" if pd.isna(row["estimate"]) else f"{round(row['estimate'], 2) + 0.0:.2f}"
        if pd.notna(row["ci_low"]):
            estimate += f" [{row['ci_low']:.2f}, {row['ci_high']:.2f}]"
        cells = [row["id"], row["claim"], row["source"], f"**{row['verdict']}**", estimate, row["why"]]
        lines.append(_line([*cells, row["paper_numbers"]]))
    return "\n".join([*lines, "", note, ""])


def explain(job: Any) -> str:
    """How verdicts come about, in words."""
    report, repeated = job.report, len(job.training_seeds) > 1
    interval = "over patients and training seeds" if repeated else "by bootstrap over patients"
    test = "t tests over both" if repeated else "paired sign-flip permutations of patients"
    return (
        f"Estimates are in Dice points, positive in the claim's favour, with {report.confidence:.0%} intervals "
        f"{interval}. A claim that joins several comparisons shows the weakest one. Supported: every comparison is "
        f"positive and significant; contradicted: at least one is significantly negative. Tests are {test}, "
        f"two-sided, at {report.alpha:g} after Holm correction over all claims. A claim about training needs more than "
        "one training seed to be decided; with one it stays undecided and only the direction is given. The data are "
        "not the paper's: a verdict here is about the method on this cohort."
    )


def _line(values: Sequence[str]) -> str:
    return "| " + " | ".join(str(value).replace("|", "\\|") for value in values) + " |"
