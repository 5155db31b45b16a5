"""The files of a target that its page is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pandas.errors import EmptyDataError

OWN_RECEIPT = "page.json"
"""The page's own receipt, which lies among the others and is no part of the page."""


@dataclass(frozen=True)
class TargetFiles:
    """What is here of a finished target. What is missing is said on the page, in its place.

    Attributes:
        tables: CSV files, found by their names.
        figures: PNG files, found by their names; others are left aside.
        curves: learning curves, below a folder `curves`.
        receipts: receipts of the target's jobs, below a folder `receipts`.
    """

    tables: Sequence[Path]
    figures: Sequence[Path] = ()
    curves: Sequence[Path] = ()
    receipts: Sequence[Path] = ()

    def read(self, name: str) -> pd.DataFrame | None:
        """A table by its name; None where there is no such file, empty where the file has no rows."""
        path = _find(self.tables, f"{name}.csv")
        if path is None:
            return None
        try:
            return pd.read_csv(path)
        except EmptyDataError:
            return pd.DataFrame()

    def figure(self, name: str) -> Path:
        """A figure by its name; a path without a file where there is none."""
        return _find(self.figures, f"{name}.png") or Path(f"{name}.png")

    def shown(self) -> list[Path]:
        """Every table, figure and curve that the page shows, sorted."""
        png = [path for path in self.figures if path.suffix == ".png"]
        return sorted(path for path in {*self.tables, *png, *self.curves} if path.is_file())


def name_below(path: Path, folder: str) -> str:
    """`results/phantom/ssl/curves/frames/byol.csv` below `curves`: `frames/byol`; the bare name where it is not below."""
    parts = path.with_suffix("").parts
    if folder not in parts[:-1]:
        return path.stem
    place = len(parts) - 1 - parts[::-1].index(folder)
    return "/".join(parts[place + 1 :])


def _find(paths: Sequence[Path], name: str) -> Path | None:
    return next((path for path in map(Path, paths) if path.name == name and path.is_file()), None)
