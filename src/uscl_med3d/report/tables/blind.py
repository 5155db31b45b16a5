"""Is a method better than rows that look at no image? A cell worse than one of them is marked."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from uscl_med3d.core.reporting import BLIND
from uscl_med3d.report.measures import LESS_IS_BETTER


def mark_below(frame: pd.DataFrame, keys: Sequence[str], value: str) -> pd.DataFrame:
    """Fill the column `below`: names of the blind rows whose value in the same cell is better, or an empty text.

    Args:
        frame: a long table; without a column `method` or without blind rows nothing is below.
        keys: its key columns.
        value: its column of numbers; more is better, but for the measures `LESS_IS_BETTER`.
    """
    if "method" not in keys or not frame["method"].isin(BLIND).any():
        return frame
    cell = [name for name in keys if name != "method"]
    found, sign = pd.Series("", index=frame.index), _direction(frame)
    for name in BLIND:
        others = frame.loc[frame["method"] == name, [*cell, value]].rename(columns={value: "other"})
        joined = frame[cell].merge(others, on=cell, how="left", validate="many_to_one").set_axis(frame.index)
        worse = (sign * frame[value] < sign * joined["other"]) & ~frame["method"].isin(BLIND)
        longer = (found + ", " + name).where(found != "", name)
        found = found.where(~worse, longer)
    return frame.assign(below=found)


def _direction(frame: pd.DataFrame) -> pd.Series:
    """1 where more is better, -1 where less is: one per row."""
    if "measure" not in frame:
        return pd.Series(1.0, index=frame.index)
    return pd.Series(1.0, index=frame.index).mask(frame["measure"].str.startswith(LESS_IS_BETTER), -1.0)
