"""The paper's own numbers, read from `reported/` in long form: shown beside ours, never used as targets."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd

FOLDER = Path(__file__).parent / "reported"

PAPER_METHODS = {
    "SAM": "sam",
    "MobileSAM": "mobile_sam",
    "TinySAM": "tinysam",
    "SAM-Med2D": "sam_med2d",
    "SAM-Med3D": "sam_med3d",
    "FastSAM3D": "fastsam3d",
    "USCL-Med3D": "uscl_med3d",
}
"""Name of a method in the paper's Tables 1 and 2: its key in the registry."""


@cache
def load_reported(table: str) -> pd.DataFrame:
    """Long form of one reported table: its key columns, then `reported`; rows in the paper's order.

    `table` is table1 ...; of a table that the paper does not have, no row.
    """
    if table in _NOT_IN_THE_PAPER:
        return pd.DataFrame(columns=[*_NOT_IN_THE_PAPER[table], "reported"], dtype=object)
    name, keys, spread = _FILES[table]
    frame = pd.read_csv(FOLDER / name)
    if spread is None:
        return frame.rename(columns={"dice": "reported"})
    return (
        frame.melt(id_vars=keys, var_name=spread, value_name="reported", ignore_index=False)
        .sort_index(kind="stable")
        .reset_index(drop=True)
    )


@cache
def load_reported_cost() -> pd.DataFrame:
    """The paper's training cost: method, epochs, hours, gpu_memory_gb, batch."""
    return pd.read_csv(FOLDER / "training_cost.csv")


def reported_value(table: str, **keys: object) -> float:
    """One cell of a reported table, or NaN where the paper has none."""
    frame = load_reported(table)
    for name, value in keys.items():
        frame = frame[frame[name] == value]
    return float(frame["reported"].iloc[0]) if len(frame) == 1 else float("nan")


_NOT_IN_THE_PAPER = {"table6": ["reference", "method", "class"], "table7": ["method", "measure"]}
"""Further tables and their key columns."""

_FILES: dict[str, tuple[str, list[str], str | None]] = {
    "table1": ("table1_ultrasound_dice.csv", ["method", "points"], "class"),
    "table2": ("table2_cross_domain_dice.csv", ["method", "dataset", "points"], None),
    "table3": ("table3_vcl_ablation_dice.csv", ["tuned_modules", "vcl_head"], None),
    "table4": ("table4_tuning_methods_dice.csv", ["method"], "dataset"),
    "table5": ("table5_lora_rank_dice.csv", ["rank", "tuned_modules"], None),
}
