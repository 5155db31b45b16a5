"""Where numbers come from: what each run was made of, by the receipt that its evaluation wrote."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from uscl_med3d.core.io import read_json, sha256
from uscl_med3d.report.html.page import fold, long_table, paragraph, table
from uscl_med3d.report.style import class_title
from uscl_med3d.report.words import count

DIGITS = 16
"""Hexadecimal digits shown of a SHA-256, as in `uscl-med3d trace`."""


@dataclass(frozen=True)
class Origin:
    """What a run's scores were made from.

    Attributes:
        run: id of the run.
        parameters: SHA-256 of the parameters that its evaluation read.
        checkpoints: path -> SHA-256 of every weights file that it loaded, in the order of paths.
        scores: SHA-256 of the score file.
        code: SHA-256 over the modules that were loaded.
    """

    run: str
    parameters: str
    checkpoints: Mapping[str, str]
    scores: str
    code: str

    def in_words(self) -> str:
        """One line for a hint."""
        weights = [f"{Path(path).name} {short(value)}" for path, value in self.checkpoints.items()]
        return f"weights {', '.join(weights) or 'none'}; parameters {short(self.parameters)}"


def read_origins(folder: Path | None) -> dict[str, Origin]:
    """Run -> its origin, from the folder with the receipts of `evaluate`; empty where there is none."""
    if folder is None or not Path(folder).is_dir():
        return {}
    found = [_read(path) for path in sorted(Path(folder).glob("*.json"))]
    # The gate writes its receipt there, too: it makes no scores and is no run.
    return {origin.run: origin for origin in found if origin.scores}


def short(digest: str) -> str:
    """The shown part of a SHA-256."""
    return digest[:DIGITS]


def _read(path: Path) -> Origin:
    receipt = read_json(path)
    weights = {name: value for name, value in receipt["inputs"].items() if name.endswith(".safetensors")}
    # A job writes other Parquet files, too: `image_use/<run>.parquet` comes before its scores.
    scores = [value for name, value in receipt["outputs"].items() if Path(name).parent.name == "scores"]
    parameters = json.dumps(receipt["params"], sort_keys=True).encode()
    return Origin(
        path.stem,
        hashlib.sha256(parameters).hexdigest(),
        dict(sorted(weights.items())),
        scores[0] if scores else "",
        receipt["code"]["sha256"],
    )


def provenance(job: Any, inputs: Any) -> str:
    """One row per run, then the hash of every job file."""
    seeds = ", ".join(map(str, job.training_seeds))
    head = (
        f"Master seed {job.seed}; training seeds {seeds}; classes {', '.join(map(class_title, job.classes))}."
    )
    return paragraph(head) + _runs(inputs) + _job_files(inputs)


def _runs(inputs: Any) -> str:
    origins = read_origins(inputs.receipts_dir)
    title = '<h3 id="provenance-runs">Runs</h3>'
    if not origins:
        return title + paragraph(
            "No receipts of the evaluation: what the runs were made of is not recorded.", "note"
        )
    intro = (
        "What each run's scores were made from, by the receipt that its evaluation wrote: the first digits of SHA-256. "
        "The command uscl-med3d trace goes on from here to every file and job behind them."
    )
    rows = []
    for origin in origins.values():
        weights = "<br>".join(
            f"<code>{escape(Path(path).name)}</code> <code>{short(value)}</code>"
            for path, value in origin.checkpoints.items()
        )
        others = (origin.parameters, origin.scores, origin.code)
        rows.append(
            [
                f'<td id="origin-{escape(origin.run)}"><b>{escape(origin.run)}</b></td>',
                f'<td class="hashes">{weights or "none"}</td>',
                *(f'<td class="hashes"><code>{short(value)}</code></td>' for value in others),
            ]
        )
    return (
        title
        + paragraph(intro, "muted")
        + long_table(("Run", "Weights", "Parameters", "Scores", "Code"), rows)
    )


def _job_files(inputs: Any) -> str:
    intro = (
        "Every job reads one parameter file and nothing else; its SHA-256 stands for all numbers that come from the job. "
        "A run's checkpoint is checkpoints/finetune/<run>.safetensors, its scores are scores/<run>.parquet."
    )
    title = '<h3 id="provenance-jobs">Job files</h3>'
    if inputs.params_dir is None or not Path(inputs.params_dir).is_dir():
        return title + paragraph(intro, "muted") + paragraph("No folder of job files was given.", "note")
    folder, rows = Path(inputs.params_dir), []
    for path in sorted(folder.rglob("*.json")):
        name = str(path.relative_to(folder))
        anchor = f' id="run-{escape(path.stem)}"' if name.startswith("evaluate/") else ""
        rows.append(
            [f"<td{anchor}><code>{escape(name)}</code></td>", f"<td><code>{sha256(path)}</code></td>"]
        )
    listed = table(("Job file", "SHA-256"), rows)
    return title + paragraph(intro, "muted") + fold(count(len(rows), "file"), listed)
