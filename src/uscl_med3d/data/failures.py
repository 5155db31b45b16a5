"""Sweeps that could not be used: the record of what was wrong, and the last word of a run that left some out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from uscl_med3d.core.errors import InputError, InputErrors
from uscl_med3d.core.io import write_csv, write_json
from uscl_med3d.core.params.ingest import Ingest
from uscl_med3d.data.cohort import CohortRow
from uscl_med3d.data.splits import COLUMNS as MANIFEST
from uscl_med3d.data.splits import SPLITS, assign_splits, read_splits

COLUMNS = ["sweep", "patient", "split", "file", "found", "expected", "remedy"]


def plan_splits(rows: Sequence[CohortRow], settings: Ingest, seed: int) -> pd.DataFrame:
    """The manifest of all sweeps of a cohort table, whether or not they turn out to be usable."""
    table = pd.DataFrame([{name: getattr(row, name) for name in MANIFEST} for row in rows])
    return assign_splits(table, settings.split_fractions.model_dump(), seed)


def write_failures(
    path: str | Path, manifest: pd.DataFrame, failed: Mapping[str, Sequence[InputError]]
) -> None:
    """Write one row per problem of every left-out sweep; only the header where there is none.

    Args:
        path: of the CSV. manifest: patient and split of all sweeps. failed: sweep -> its problems.
    """
    who = manifest.set_index("sweep")
    rows = [
        (
            sweep,
            who.at[sweep, "patient"],
            who.at[sweep, "split"],
            error.file,
            error.found,
            error.expected,
            error.remedy,
        )
        for sweep, errors in sorted(failed.items())
        for error in errors
    ]
    write_csv(path, pd.DataFrame(rows, columns=COLUMNS))


def read_failures(path: str | Path) -> pd.DataFrame:
    """The record of `write_failures`, every cell a text. Raises `InputError`."""
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False)[COLUMNS]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            file=path,
            found=f"{type(error).__name__}: {error}",
            expected="the list of sweeps that were left out",
            remedy="run the stage `ingest` again",
        ) from error


def find_gaps(
    rows: Sequence[CohortRow], manifest: pd.DataFrame, failed: Mapping[str, object], file: str | Path
) -> list[InputError]:
    """Why the cohort cannot do without the failed sweeps: one `InputError` per part of it that has none left.

    A part that was empty from the start is no gap. `file`: the cohort table, for the message.
    """
    splits = dict(zip(manifest["sweep"], manifest["split"], strict=True))
    parts = {f"the split {name!r}": {sweep for sweep in splits if splits[sweep] == name} for name in SPLITS}
    parts["the split 'train' with key frames"] = {
        row.sweep for row in rows if splits[row.sweep] == "train" and row.key_frames is not None
    }
    if splits.keys() <= failed.keys():
        parts = {"the cohort": set(splits)}
    return [
        InputError(
            file=file,
            found=f"no usable sweep in {part} ({', '.join(sorted(sweeps))})",
            expected="at least one, or nothing could be trained or scored",
            remedy="repair one of these sweeps",
        )
        for part, sweeps in parts.items()
        if sweeps and sweeps <= failed.keys()
    ]


def confirm_complete(failures_csv: str | Path, splits_csv: str | Path, out_json: str | Path) -> None:
    """Write how many sweeps a run has used, if it has used them all.

    Raises:
        InputErrors: one entry per problem of a sweep that was left out; `out_json` is not written then.
    """
    failures, used = read_failures(failures_csv), len(read_splits(splits_csv))
    left_out = sorted(failures["sweep"].unique())
    if left_out:
        raise InputErrors(
            [
                InputError(
                    file=row["file"],
                    found=f"{row['found']} (sweep {row['sweep']})",
                    expected=row["expected"],
                    remedy=row["remedy"],
                )
                for row in failures.to_dict("records")
            ],
            file=f"{failures_csv}: {len(left_out)} of {used + len(left_out)} sweeps left out: {', '.join(left_out)}",
            remedy="everything else is made, from the other sweeps alone. Repair what is listed and run the same "
            "command again (sweeps that are in order are not converted again), or remove the rows from cohort.csv",
        )
    write_json(out_json, {"sweeps_used": used, "sweeps_left_out": 0})
