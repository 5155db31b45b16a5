"""The recorded search: which training values are best on validation patients, and are they in use?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.core.search import in_use, list_candidates
from uscl_med3d.report.tables.plain import PlainTable, write_plain_table

CAPTION = (
    "Dice (0-100) of crops of validation patients on their annotated key frames after the last training step; no test "
    "patient is read. One fine-tune per row, first training seed; methods with a LoRA grid: main rank, encoder and decoder, "
    "without VCL. Best: highest of the method. In use: the values of the parameters with which the tables were made."
)


def build_search(job: Any, curves: Sequence[Path], out: Path) -> None:
    """Write the table of the search as `out` (CSV), Markdown and LaTeX.

    Args:
        job: parameters of `search`.
        curves: learning curves of the candidates, named by them.
        out: CSV file.
    """
    found = list_candidates(job.search.candidates)
    rows = [_row(job, *found[Path(curve).stem], Path(curve)) for curve in curves]
    frame = pd.DataFrame(rows)
    best = frame.groupby("method")["validation_dice"].transform("max") == frame["validation_dice"]
    frame["best"] = best.map({True: "yes", False: ""})
    varied = [
        name
        for name in map(str, frame)
        if name not in ("method", "label", "validation_dice", "best", "in_use")
    ]
    frame = frame[["method", "label", *varied, "validation_dice", "best", "in_use"]]
    names = {"label": "Method"} | {name: name.rpartition(".")[2].replace("_", " ") for name in varied}
    table = PlainTable(
        title="Search for training values",
        caption=CAPTION,
        label="search",
        columns=names | {"validation_dice": "Dice, validation", "best": "Best", "in_use": "In use"},
        integers=[name for name in varied if pd.api.types.is_integer_dtype(frame[name])],
        points=["validation_dice"],
    )
    write_plain_table(frame, table, out)


def _row(job: Any, method: str, values: dict[str, Any], curve: Path) -> dict[str, Any]:
    entry = job.methods[method]
    used = in_use(entry.tuning or {}, job.finetune.model_dump(), values)
    dice = pd.read_csv(curve)["validation_dice"].dropna()
    return {
        "method": method,
        "label": entry.label,
        **values,
        "validation_dice": dice.iloc[-1] if len(dice) else float("nan"),
        "in_use": "yes" if used else "",
    }
