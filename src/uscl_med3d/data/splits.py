"""The split manifest: which patient trains, validates or tests, in every stage.

Columns patient, sweep, group, view, split; one row per sweep; sorted by patient and sweep.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.seeds import rng

COLUMNS = ["patient", "sweep", "group", "view", "split"]
SPLITS = ("train", "val", "test")


def read_splits(path: str | Path) -> pd.DataFrame:
    """Read and guard a manifest. Raises `InputError`."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(
            file=path, found=str(error), expected="the split manifest", remedy="run the stage `ingest`"
        ) from error
    if list(table.columns) != COLUMNS:
        raise InputError(
            file=path,
            found=f"columns {', '.join(table.columns)}",
            expected=f"columns {', '.join(COLUMNS)}",
            remedy="run the stage `ingest` again",
        )
    guard_splits(table, path)
    return table


def guard_splits(table: pd.DataFrame, file: str | Path = "split manifest") -> None:
    """Raise `InputError` for a patient in two splits, a sweep listed twice, or a split of another name."""
    strange = table[~table["split"].isin(SPLITS)]
    if len(strange):
        row = strange.iloc[0]
        raise InputError(
            file=file,
            found=f"split {row['split']!r} of sweep {row['sweep']}",
            expected=f"one of {', '.join(SPLITS)}",
            remedy="correct the split column of cohort.csv and run `ingest` again",
        )
    twice = sorted(table.loc[table["sweep"].duplicated(), "sweep"].unique())
    if twice:
        raise InputError(
            file=file,
            found=f"sweep(s) listed twice: {', '.join(twice)}",
            expected="one row per sweep",
            remedy="give every sweep its own id in cohort.csv",
        )
    splits = table.groupby("patient")["split"].agg(lambda values: sorted(set(values)))
    leaks = splits[splits.map(len) > 1]
    if len(leaks):
        listing = "; ".join(f"{patient}: {', '.join(found)}" for patient, found in leaks.items())
        raise InputError(
            file=file,
            found=f"patient(s) in more than one split: {listing}",
            expected="one split per patient",
            remedy="give all sweeps of a patient the same split in cohort.csv",
        )


def hash_splits(table: pd.DataFrame) -> str:
    """SHA-256 of a manifest's content, independent of the order of its rows."""
    ordered = table[COLUMNS].sort_values(["patient", "sweep"])
    return hashlib.sha256(ordered.to_csv(index=False, lineterminator="\n").encode()).hexdigest()


def assign_splits(table: pd.DataFrame, fractions: dict[str, float], seed: int) -> pd.DataFrame:
    """Fill empty values of the column `split` by patient and return the sorted manifest.

    A patient with a split on any sweep has it on all. The others are shuffled within their group, by the
    group's own random stream, and dealt by `fractions` (largest remainder; ties go to train, then val).
    """
    table = table[COLUMNS].sort_values(["patient", "sweep"], ignore_index=True)
    known = {patient: split for patient, split in zip(table["patient"], table["split"], strict=True) if split}
    groups = table.groupby("patient")["group"].agg(lambda values: "+".join(sorted(set(values))))
    for group in sorted(groups.unique()):
        open_patients = [patient for patient in groups.index[groups == group] if patient not in known]
        order = rng(seed, "ingest", "splits", group).permutation(len(open_patients))
        dealt = np.repeat(SPLITS, _shares(len(open_patients), [fractions[split] for split in SPLITS]))
        known |= {open_patients[position]: str(split) for position, split in zip(order, dealt, strict=True)}
    table["split"] = table["patient"].map(known)
    guard_splits(table)
    return table


def _shares(count: int, fractions: list[float]) -> list[int]:
    exact = [count * fraction for fraction in fractions]
    shares = [int(value + 1e-9) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: (-round(exact[i] - shares[i], 9), i))
    for i in by_remainder[: count - sum(shares)]:
        shares[i] += 1
    return shares
