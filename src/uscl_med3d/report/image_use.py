"""Do the models look at the image? Dice with the own image minus Dice with another patient's.

Same weights, same clicks, same crop, but the image of another patient of the same kind: what Dice remains is not earned
by looking. A model that draws a blob round the clicks has a difference near zero, whatever its Dice.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.core import seeds
from uscl_med3d.core.io import write_csv
from uscl_med3d.core.params.methods import Run
from uscl_med3d.core.runs import list_runs, main_run
from uscl_med3d.core.scores import IMAGE_USE, read_score_file
from uscl_med3d.report.statistics import estimate
from uscl_med3d.report.tables.context import IMAGE_USE_DATASETS

COLUMNS = (
    "method",
    "dataset",
    "points",
    "dice_own",
    "dice_other",
    "difference",
    "ci_low",
    "ci_high",
    "n_patients",
)

_CASE = ["training_seed", "patient", "case", "class"]


def build_image_use(job: Any, files: Sequence[Path], out_csv: Path) -> None:
    """Write one row per method, data set and click count that was measured: `COLUMNS`.

    Ultrasound: mean over classes of the mean over test cases. Other sets: mean over all compared structures, because each
    case lends a few drawn ones, so that some structures are those of one patient. The interval is that of the difference,
    over patients.

    Args:
        job: parameters of the stage `report`.
        files: `image_use/<run>.parquet` (`core.scores.IMAGE_USE`), of the main runs of methods.
        out_csv: the table.
    """
    found = {Path(path).stem: read_score_file(path, IMAGE_USE.names) for path in files}
    rows = []
    for name, entry in job.methods.items():
        runs = [run for run in _main_runs(job, name) if run.id in found]
        if not runs:
            continue
        cases = pd.concat([_pair(found[run.id]).assign(training_seed=run.training_seed) for run in runs])
        for dataset in IMAGE_USE_DATASETS:
            for points in sorted(cases.loc[cases["dataset"] == dataset, "points"].unique()):
                part = cases[(cases["dataset"] == dataset) & (cases["points"] == points)]
                rows.append(_row(job, entry.label, dataset, int(points), part))
    write_csv(out_csv, pd.DataFrame(rows, columns=list(COLUMNS)))


def _main_runs(job: Any, method: str) -> list[Run]:
    """All training seeds of the run that stands for a method."""
    main = main_run(method, job.methods[method])
    runs = list_runs(job.methods, job.training_seeds)
    return [run for run in runs if run.id in (main, f"{main}_s{run.training_seed}")]


def _pair(rows: pd.DataFrame) -> pd.DataFrame:
    """Test cases that were scored with both images: columns `own`, `other`, `difference`."""
    rows = rows[(rows["split"] == "test") & rows["dice"].notna()]
    pairs = rows.pivot_table(
        index=["dataset", "points", *_CASE[1:]], columns="image", values="dice", aggfunc="mean"
    )
    pairs = pairs.reindex(columns=["own", "other"]).dropna().reset_index()
    return pairs.assign(difference=pairs["own"] - pairs["other"])


def _row(job: Any, label: str, dataset: str, points: int, cases: pd.DataFrame) -> dict[str, Any]:
    report = job.report
    classes = tuple(job.classes)
    if dataset != "us":
        cases, classes = cases.assign(**{"class": "any"}), ("any",)

    def judge(value: str) -> Any:
        # One stream for all methods: they meet the same resampled patients.
        rng = seeds.rng(job.seed, "report", "image_use", dataset, points)
        return estimate(cases, classes, report.confidence, report.n_boot, rng, value)

    difference = judge("difference")
    return {
        "method": label,
        "dataset": IMAGE_USE_DATASETS[dataset],
        "points": points,
        "dice_own": judge("own").mean,
        "dice_other": judge("other").mean,
        "difference": difference.mean,
        "ci_low": difference.low,
        "ci_high": difference.high,
        "n_patients": difference.n_patients,
    }
