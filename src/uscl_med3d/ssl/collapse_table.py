"""The collapse watch of everything that was pretrained: do different images still get different features?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from uscl_med3d.core.reporting import COLLAPSE
from uscl_med3d.ssl.words import name_labelled

COLLAPSED = 0.01
"""A spread of the normalised features below this, where 1 is an even spread, is called a collapse."""


def build_collapse(starts: pd.DataFrame, cells: pd.DataFrame, arms: pd.DataFrame) -> pd.DataFrame:
    """One row per pretraining (before and after), per fine-tuned encoder, and per arm on frames.

    Features are those of validation images; those of fine-tuned encoders, of the middle crops of test sweeps.
    """
    rows: list[dict[str, object]] = []
    for name, curve in starts.groupby("name") if len(starts) else []:
        common: dict[str, object] = {
            "encoder": "SAM-Med3D",
            "stage": "pretraining",
            "name": name,
            "labelled": "",
        }
        rows.append({**common, **_ends(curve, COLLAPSE)})
    for row in cells.to_dict("records"):
        common = {
            "encoder": "SAM-Med3D",
            "stage": "fine-tuned",
            "name": row["name"],
            "labelled": name_labelled(row["labelled"]),
        }
        rows.append(common | {f"{column}_after": row[column] for column in COLLAPSE})
    for key, curve in arms.groupby(["arm", "training_seed"]):
        common = {
            "encoder": "frames",
            "stage": "pretraining",
            "name": key[0],
            "labelled": "",
            "training_seed": key[1],
        }
        after = {f"{column}_after": curve[f"probe_{column}"].iloc[-1] for column in COLLAPSE}
        rows.append(common | _ends(curve, COLLAPSE) | after)
    table = pd.DataFrame(rows)
    table["collapsed"] = np.where(table[f"{COLLAPSE[0]}_after"] < COLLAPSED, "yes", "no")
    table.loc[table[f"{COLLAPSE[0]}_after"].isna(), "collapsed"] = ""
    return table.round(4)


def _ends(curve: pd.DataFrame, columns: tuple[str, ...]) -> dict[str, float]:
    """First and last values of columns that a learning curve has."""
    there = [column for column in columns if column in curve]
    curve = curve.sort_values("step")
    before = {f"{column}_before": curve[column].iloc[0] for column in there}
    return before | {f"{column}_after": curve[column].iloc[-1] for column in there}
