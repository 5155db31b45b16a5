"""Means over structures, and how they spread when whole groups (patients, clusters) are drawn again.

The same groups are drawn for every frame of scores that has the same groups, so that two estimates can be subtracted draw
by draw: a paired comparison.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from uscl_med3d.core.seeds import rng


@dataclass(frozen=True)
class Estimate:
    """A number with its bootstrap draws, and the groups that they were drawn from."""

    value: float
    draws: np.ndarray
    groups: tuple[str, ...]

    def __sub__(self, other: Estimate) -> Estimate:
        """The difference, draw by draw.

        Raises:
            ValueError: for other groups: such a difference would not be paired.
        """
        if self.groups != other.groups:
            raise ValueError("estimates of different groups cannot be compared draw by draw")
        return Estimate(self.value - other.value, self.draws - other.draws, self.groups)

    def interval(self, confidence: float) -> tuple[float, float]:
        """Percentile interval."""
        tail = 50 * (1 - confidence)
        low, high = np.nanpercentile(self.draws, [tail, 100 - tail])
        return float(low), float(high)


def macro_mean(rows: pd.DataFrame) -> float:
    """Mean over structures of the mean Dice over images."""
    return float(rows.groupby("class")["dice"].mean().mean())


def estimate(rows: pd.DataFrame, n_boot: int, seed: int) -> Estimate:
    """`macro_mean` with its draws. A draw without any image of a structure does not count it.

    Args:
        rows: with `group`, `class` and `dice`.
    """
    groups = sorted(rows["group"].unique())
    sums = rows.pivot_table(index="group", columns="class", values="dice", aggfunc="sum", fill_value=0.0)
    counts = rows.pivot_table(index="group", columns="class", values="dice", aggfunc="count", fill_value=0)
    random = rng(seed, "stills", "intervals", len(groups))
    drawn = random.integers(0, len(groups), (n_boot, len(groups)))
    total = sums.loc[groups].to_numpy()[drawn].sum(1)
    number = counts.loc[groups].to_numpy()[drawn].sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.nanmean(total / number, axis=1)
    return Estimate(macro_mean(rows), means, tuple(groups))


def interval(rows: pd.DataFrame, n_boot: int, confidence: float, seed: int) -> tuple[float, float]:
    """Percentile interval of `macro_mean` when whole groups are drawn with replacement."""
    return estimate(rows, n_boot, seed).interval(confidence)
