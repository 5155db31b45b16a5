"""Score files: one Parquet file per run, one row per data set, case, class, reference, way of clicking and click.

Equal scores give equal bytes: the columns and their types are fixed, numbers are rounded, and nothing else is in the
file (no index, no pandas metadata, no time). Tables stay CSV.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import atomic

_TEXT, _WHOLE, _NUMBER = pa.string(), pa.int32(), pa.float64()

SCHEMA = pa.schema(
    [
        ("run", _TEXT),
        ("method", _TEXT),
        ("rank", _WHOLE),
        ("modules", _TEXT),
        ("pretraining", _TEXT),
        ("training_seed", _WHOLE),
        ("dataset", _TEXT),
        ("split", _TEXT),
        ("patient", _TEXT),
        ("case", _TEXT),
        ("class", _TEXT),
        ("reference", _TEXT),
        ("crop", _TEXT),
        ("click_simulator", _TEXT),
        ("click_seed", _WHOLE),
        ("click", _WHOLE),
        ("click_d", _WHOLE),
        ("click_h", _WHOLE),
        ("click_w", _WHOLE),
        ("click_label", _WHOLE),
        ("volume_clicks", _WHOLE),
        ("dice", _NUMBER),
        ("nsd", _NUMBER),
        ("hd95", _NUMBER),
        ("distance_unit", _TEXT),
        ("reason", _TEXT),
    ]
)
"""Columns of a score file in their order. What they mean: docs/scores.md."""

COLUMNS = tuple(SCHEMA.names)

IMAGE_USE = pa.schema(
    [
        ("run", _TEXT),
        ("dataset", _TEXT),
        ("split", _TEXT),
        ("patient", _TEXT),
        ("case", _TEXT),
        ("class", _TEXT),
        ("points", _WHOLE),
        ("image", _TEXT),
        ("dice", _NUMBER),
    ]
)
"""Columns of `image_use/<run>.parquet`: every case with its `own` image and with the image of `other` patients."""

DIGITS = 6
"""Significant digits of every number."""

LEVEL = 19
"""Of zstd: files are written once and kept in Git."""


def write_scores(path: str | Path, frame: pd.DataFrame, schema: pa.Schema = SCHEMA) -> None:
    """Write rows of scores atomically, in the order given.

    Args:
        path: of the file.
        frame: exactly the columns of `schema`, in any order; a missing value is NaN, None or an empty text.
        schema: columns and types; numbers are rounded to `DIGITS` significant digits.

    Raises:
        ValueError: for other columns.
    """
    if set(frame) != set(schema.names):
        raise ValueError(f"columns {sorted(map(str, frame))} instead of {sorted(schema.names)}")
    arrays = [_convert(frame[field.name], field.type) for field in schema]
    numbers = [field.name for field in schema if field.type == _NUMBER]
    with atomic(path) as temporary:
        pq.write_table(
            pa.Table.from_arrays(arrays, schema=schema),
            temporary,
            version="2.6",
            data_page_version="1.0",
            compression="zstd",
            compression_level=LEVEL,
            row_group_size=1 << 20,
            store_schema=False,
            use_dictionary=[name for name in schema.names if name not in numbers],
            use_byte_stream_split=numbers,
            write_statistics=False,
        )


def read_score_file(path: str | Path, columns: Collection[str] | None = None) -> pd.DataFrame:
    """The rows of one file, in the order written; missing texts and numbers are NaN.

    Args:
        path: of the file.
        columns: those wanted, or None for all that the file has.

    Raises:
        InputError: for a file that cannot be read, or that lacks a wanted column.
    """
    try:
        known = pq.read_schema(path).names
        missing = [name for name in columns or () if name not in known]
        if missing:
            raise ValueError(f"no column {', '.join(missing)}")
        return pq.read_table(path, columns=None if columns is None else list(columns)).to_pandas()
    except (OSError, ValueError) as error:  # pyarrow's own errors are among them
        raise InputError(
            file=path,
            found=str(error),
            expected="a Parquet file of per-case scores" + (f" with {', '.join(columns)}" if columns else ""),
            remedy="run the stage `evaluate` again for this run",
        ) from error


def _convert(values: pd.Series, kind: pa.DataType) -> pa.Array:
    there = values.notna().to_numpy()
    if kind == _TEXT:
        # An empty text is a missing one: there is one way to say nothing.
        texts = (str(value) if known else "" for known, value in zip(there, values, strict=True))
        return pa.array([text or None for text in texts], kind)
    numbers = pd.to_numeric(values).to_numpy(float, na_value=np.nan)
    if kind == _WHOLE and (numbers[there] % 1).any():
        raise ValueError(f"column {values.name}: not all numbers are whole")
    make = int if kind == _WHOLE else lambda value: float(f"{value:.{DIGITS}g}")
    known = {value: make(value) for value in np.unique(numbers[there])}
    return pa.array([known.get(value) for value in numbers], kind)
