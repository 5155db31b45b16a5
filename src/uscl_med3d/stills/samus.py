"""The results of target `samus`: tables S1 to S5, claims, and the scores they come from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import write_csv
from uscl_med3d.core.scores import read_score_file
from uscl_med3d.stills.samus_claims import judge_all
from uscl_med3d.stills.samus_tables import (
    Scores,
    check_scores,
    table_s1,
    table_s2,
    table_s3,
    table_s4_clicks,
    table_s4_places,
)

TABLES = {
    "s1": table_s1,
    "s2": table_s2,
    "s3": table_s3,
    "s4_clicks": table_s4_clicks,
    "s4_places": table_s4_places,
}


def build_samus(job: Any, scores: Sequence[Path], counted: Path, out: Path) -> None:
    """Write s1.csv to s5.csv and claims.csv into `out`.

    Args:
        scores: one file per method, as `sets.run_sets` writes them. counted: by `deploy.run_deploy`.

    Raises:
        InputError: for scores that lack a method, or do not belong together.
    """
    settings = job.samus.with_variants()
    rows = pd.concat([read_score_file(file) for file in sorted(scores)], ignore_index=True)
    wrong = check_scores(rows, list(settings.methods))
    if wrong:
        raise InputError(
            file=str(Path(scores[0]).parent),
            found="; ".join(wrong),
            expected="every method once on every image",
            remedy="delete the scores, so that they are made again",
        )
    table = Scores(rows, settings, job.seed)
    cost = table_s5(table, pd.read_csv(counted))
    for name, build in TABLES.items():
        write_csv(out / f"{name}.csv", build(table))
    write_csv(out / "s5.csv", cost)
    write_csv(out / "claims.csv", judge_all(table, cost))


def table_s5(scores: Scores, counted: pd.DataFrame) -> pd.DataFrame:
    """S5: what a foundation model costs, beside its Dice after one click on the seen and the unseen scanner."""
    rows = []
    part = scores.parts()[-1]
    for name in scores.of_role("foundation"):
        own = counted[counted["method"] == scores.label(name)]
        dice = [scores.cells(scores.estimate(scores.pick(name, part, one)))[0] for one in ("seen", "unseen")]
        known = own.iloc[0].tolist()
        memory = "–" if pd.isna(own["training_mb"].iloc[0]) else known[4]
        rows.append([*known[:4], memory, known[5], *dice, "not trained" if memory == "–" else ""])
    columns = [*counted.columns, "seen_dice", "unseen_dice", "why"]
    return pd.DataFrame(rows, columns=columns)
