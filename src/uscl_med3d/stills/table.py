"""The table of a comparison on single images: mean Dice per method and structure, with intervals over groups."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import write_csv
from uscl_med3d.stills.fold import COLUMNS
from uscl_med3d.stills.resample import interval, macro_mean

ALL = "all"
TABLE_COLUMNS = [
    "method",
    "class",
    "points",
    "dice",
    "ci_low",
    "ci_high",
    "hd95_px",
    "empty",
    "images",
    "groups",
    "dice_other",
    "own_minus_other",
    "own_low",
    "own_high",
]


def build_table(job: Any, scores: Sequence[Path], table_csv: Path, all_scores_csv: Path) -> None:
    """Write one row per method, structure and number of clicks; and the scores of all folds in one file.

    `all` is the mean of the structures' means. Intervals come from resampling groups. `dice_other` is the control: the same
    clicks on an image of another group; `own_minus_other`, with its interval, is what a method owes to the image.

    Raises:
        InputError: for scores that lack a method, or have an image twice.
    """
    # Names of images may be digits, with zeros in front.
    read = [pd.read_csv(file, dtype={"image": str, "group": str, "class": str}) for file in sorted(scores)]
    rows = pd.concat(read, ignore_index=True)[COLUMNS]
    check(rows, list(job.stills.methods), scores)
    table = [row for name, entry in job.stills.methods.items() for row in _rows(rows, name, entry.label, job)]
    write_csv(all_scores_csv, rows.sort_values(["method", "image", "class", "points"], kind="stable"))
    write_csv(table_csv, pd.DataFrame(table, columns=TABLE_COLUMNS))


def check(rows: pd.DataFrame, methods: Sequence[str], scores: Sequence[Path]) -> None:
    """Every method is there, each image once, all methods on the same images."""
    where = str(Path(scores[0]).parent) if scores else "scores"
    missing = sorted(set(methods) - set(rows["method"]))
    twice = rows.duplicated(["method", "image", "class", "points"])
    names = [str(name) for name in rows["method"].unique()]
    pairs = rows["image"].astype(str) + "/" + rows["class"].astype(str)
    shown = {name: frozenset(pairs[rows["method"] == name]) for name in names}
    differing = sorted(name for name, found in shown.items() if found != next(iter(shown.values())))
    if missing or twice.any() or differing:
        found = [f"no scores of {', '.join(missing)}"] if missing else []
        found += [f"{int(twice.sum())} scores twice"] if twice.any() else []
        found += [f"other images for {', '.join(differing)}"] if differing else []
        raise InputError(
            file=where,
            found="; ".join(found),
            expected="every method once on every image",
            remedy="delete the scores, so that the folds are run again",
        )


def _rows(rows: pd.DataFrame, name: str, label: str, job: Any) -> list[tuple[Any, ...]]:
    own = rows[rows["method"] == name]
    result = []
    for points in sorted(own["points"].unique()):
        at = own[own["points"] == points]
        classes = sorted(at["class"].unique())
        for wanted in ([part] for part in classes):
            result.append(_row(at[at["class"].isin(wanted)], label, wanted[0], int(points), job))
        if len(classes) > 1:
            result.append(_row(at, label, ALL, int(points), job))
    return result


def _row(at: pd.DataFrame, label: str, structure: str, points: int, job: Any) -> tuple[Any, ...]:
    settings = job.stills
    low, high = interval(at, settings.n_boot, settings.confidence, job.seed)
    compared = at.assign(dice=at["dice"] - at["dice_other"])
    own = interval(compared, settings.n_boot, settings.confidence, job.seed)
    return (
        label,
        structure,
        points,
        round(macro_mean(at), 2),
        round(low, 2),
        round(high, 2),
        round(float(at["hd95_px"].mean()), 2),
        int(at["hd95_px"].isna().sum()),
        at["image"].nunique(),
        at["group"].nunique(),
        round(macro_mean(at.assign(dice=at["dice_other"])), 2),
        round(macro_mean(compared), 2),
        round(own[0], 2),
        round(own[1], 2),
    )
