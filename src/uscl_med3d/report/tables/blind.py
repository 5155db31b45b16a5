"""Is a method better than rows that look at no image? A cell below one of them is marked."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from uscl_med3d.core.reporting import BLIND


def mark_below(frame: pd.DataFrame, keys: Sequence[str], value: str) -> pd.DataFrame:
    """Fill the column `below`: names of the blind rows whose value in the same cell is higher, or an empty text.

    Args:
        frame: a long table; without a column `method` or without blind rows nothing is below.
        keys: its key columns.
        value: its column of numbers, where more is better.
    """
    if "method" not in keys or not frame["method"].isin(BLIND).any():
        return frame
    cell = [name for name in keys if name != "method"]
    found = pd.Series("", index=frame.index)
    for name in BLIND:
        others = frame.loc[frame["method"] == name, [*cell, value]].rename(columns={value: "other"})
        joined = frame[cell].merge(others, on=cell, how="left", validate="many_to_one").set_axis(frame.index)
        lower = (frame[value] < joined["other"]) & ~frame["method"].isin(BLIND)
        longer = (found + ", " + name).where(found != "", name)
        found = found.where(~lower, longer)
    return frame.assign(below=found)
