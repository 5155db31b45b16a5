"""Scores summed per patient, from which every mean, interval and test follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

AVERAGED = ("training_seed", "patient", "case", "class", "dice")
"""Columns of scores averaged over click seeds: what all statistics start from."""


@dataclass(frozen=True)
class PatientSums:
    """Sums per patient, from which every mean and resampled mean follows by matrix products.

    Attributes:
        total: summed Dice (training seed, patient, class).
        count: scored cases (patient, class), equal for all training seeds.
        groups: resampling stratum of each patient (patient,).
        patients: patient ids (patient,).
        classes: class names (class,).
    """

    total: np.ndarray
    count: np.ndarray
    groups: np.ndarray
    patients: tuple[str, ...]
    classes: tuple[str, ...]

    @property
    def present(self) -> np.ndarray:
        """Classes with any case (class,)."""
        return self.count.sum(0) > 0

    @property
    def weights(self) -> np.ndarray:
        """Weight of a case of each present class in the macro mean (present class,)."""
        return 1 / (self.count[:, self.present].sum(0) * self.present.sum())


def average_seeds(rows: pd.DataFrame, names: Sequence[str] = ()) -> pd.DataFrame:
    """Scored rows averaged over click seeds: one row per `names`, training seed, patient, case and class."""
    keys = [*names, *AVERAGED[:-1]]
    scored = rows.loc[rows["dice"].notna(), [*keys, "dice"]]
    return scored.groupby(keys, sort=True)["dice"].mean().reset_index()


def gather(rows: pd.DataFrame, classes: Sequence[str], value: str = "dice") -> PatientSums:
    """Sum `value` per training seed, patient and class.

    `rows` have the columns `AVERAGED` (or `value` in place of Dice), one row per seed, patient, case and
    class. A case that some training seed lacks is left out, so that seeds are comparable. The stratum of a
    patient is the set of classes it has, reduced to connected groups: patients that share a class share a
    stratum.
    """
    rows = rows[rows["class"].isin(classes)]
    seeds = sorted(rows["training_seed"].unique())
    if len(seeds) > 1:
        rows = rows[rows.groupby(["patient", "case", "class"])[value].transform("size") == len(seeds)]
    position = {name: number for number, name in enumerate(classes)}
    patients, patient = np.unique(rows["patient"].to_numpy(object), return_inverse=True)
    kind = np.array([position[name] for name in rows["class"]], int)
    seed = np.searchsorted(seeds, rows["training_seed"].to_numpy())
    total = np.zeros((max(len(seeds), 1), len(patients), len(classes)))
    np.add.at(total, (seed, patient, kind), rows[value].to_numpy(float))
    count = np.zeros((len(patients), len(classes)))
    first = seed == 0
    np.add.at(count, (patient[first], kind[first]), 1.0)
    return PatientSums(total, count, _strata(count > 0), tuple(map(str, patients)), tuple(classes))


def _strata(has: np.ndarray) -> np.ndarray:
    """Connected groups of patients (patient, class) -> (patient,).

    Two patients with a class in common are one group.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    if not has.size:
        return np.zeros(len(has), int)
    return connected_components(csr_array((has.astype(int) @ has.T.astype(int)) > 0), directed=False)[1]


def macro_mean(sums: PatientSums) -> float:
    """Mean over classes with any case, of the mean over cases, of the mean over training seeds."""
    present = sums.present
    if not present.any():
        return float("nan")
    return float((sums.total.mean(0).sum(0)[present] / sums.count.sum(0)[present]).mean())


def combine(terms: Sequence[tuple[float, pd.DataFrame]]) -> pd.DataFrame:
    """A weighted sum of several models' scores on the same case: column `value`.

    `terms` are (coefficient, rows with the columns `AVERAGED`), matched by training seed, patient, case and
    class; a case that some term lacks is left out. Where a term has a single training seed
    (an untrained model), it is matched with every seed of the others.
    """
    total: pd.DataFrame | None = None
    for coefficient, rows in terms:
        frame = rows.assign(value=coefficient * rows["dice"]).drop(columns="dice")
        if rows["training_seed"].nunique() < 2:
            frame = frame.drop(columns="training_seed")
        if total is None:
            total = frame
            continue
        keys = [
            name for name in ("training_seed", "patient", "case", "class") if name in total and name in frame
        ]
        total = total.merge(frame, on=keys, suffixes=("", "_next"))
        total["value"] = total["value"] + total.pop("value_next")
    assert total is not None  # a sum has at least one term
    return total if "training_seed" in total else total.assign(training_seed=0)
