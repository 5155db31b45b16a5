"""Measures beyond Dice at one click: what each test case adds to Table 7.

Every function takes rows of per-case scores and gives one row per case. Definitions: NoC as in interactive
segmentation (a case that never reaches the target counts as one click more than it was given), NSD and HD95 as the
stage `evaluate` has recorded them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

CASE = ("training_seed", "patient", "case", "class")
"""What identifies a case of one model; click seeds are averaged."""

COLUMNS = (*CASE, "measure", "value")

LESS_IS_BETTER = ("noc_", "failures", "hd95_")
"""Beginnings of the names of measures of which a smaller value is the better one."""


def measure_cases(
    rows: pd.DataFrame, last: int, noc_targets: Sequence[float], failure_dice: float
) -> pd.DataFrame:
    """All measures of all cases in long form: `COLUMNS`, averaged over click seeds.

    Args:
        rows: scores of one model (all its training seeds) on one data set and one reference.
        last: the click after which Dice, failures, NSD and HD95 are taken; 0 for a method without clicks, which has
            no curve and no NoC.
        noc_targets: Dice (percent) to be reached.
        failure_dice: Dice (percent) below which a case is a failure.
    """
    parts = [*_from_curves(rows, last, noc_targets, failure_dice), *_from_surfaces(rows, last)]
    if not parts:
        return pd.DataFrame(columns=list(COLUMNS))
    table = pd.concat(parts, ignore_index=True)
    keys = list(COLUMNS[:-1])
    return table.groupby(keys, sort=True)["value"].mean().reset_index()


def name_noc(target: float) -> str:
    """Name of the measure `clicks to reach this Dice`."""
    return f"noc_{target:g}"


def name_reached(target: float) -> str:
    """Name of the measure `share of cases that reach this Dice`."""
    return f"reached_{target:g}"


def list_units(rows: pd.DataFrame) -> list[str]:
    """Distance units in which surface distances were recorded, sorted."""
    units = rows.loc[rows["nsd"].notna(), "distance_unit"].dropna().unique()
    return sorted(unit for unit in map(str, units) if unit)


def _from_curves(
    rows: pd.DataFrame, last: int, noc_targets: Sequence[float], failure_dice: float
) -> list[pd.DataFrame]:
    rows = rows[rows["dice"].notna() & (rows["click"] <= last)]
    if rows.empty:
        return []
    curves = rows.pivot_table(index=[*CASE, "click_seed"], columns="click", values="dice")
    made = []
    if last in curves:
        made.append(_long("dice", curves[last]))
        made.append(_long("failures", 100.0 * (curves[last].dropna() < failure_dice)))
    if last > 0:
        made.append(_long("area", curves.mean(axis=1)))
        for target in noc_targets:
            reached = curves >= target
            clicks = np.asarray(curves.columns)[reached.to_numpy().argmax(axis=1)]
            ever = reached.any(axis=1)
            made.append(_long(name_noc(target), pd.Series(np.where(ever, clicks, last + 1), curves.index)))
            made.append(_long(name_reached(target), 100.0 * ever))
    return made


def _from_surfaces(rows: pd.DataFrame, last: int) -> list[pd.DataFrame]:
    made = []
    rows = rows[(rows["click"] == last) & rows["nsd"].notna()]
    for unit, part in rows.groupby("distance_unit", sort=True):
        values = part.set_index([*CASE, "click_seed"])
        made.append(_long(f"nsd_{unit}", values["nsd"]))
        # Without a prediction there is no distance: such cases have NSD 0 and no HD95.
        made.append(_long(f"hd95_{unit}", values["hd95"].dropna()))
    return made


def _long(name: str, values: pd.Series) -> pd.DataFrame:
    return values.astype(float).rename("value").dropna().reset_index().assign(measure=name)
