"""What the stage `pretrain` may read: images of training and validation patients."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import load_volume, read_json
from uscl_med3d.data.splits import hash_splits, read_splits

_CACHED_SWEEPS = 64  # decoded sweeps kept in memory; no influence on results


class SweepImages:
    """Images of training and validation patients, uint8 (d, h, w); nothing else can be read through this.

    Attributes:
        frames: whether an image of a pretext task is one frame (2D) of a sweep, instead of a crop through frames.
        metadata: column -> patient -> class, for tasks that ask for it; empty where the cohort has none.
    """

    frames: ClassVar[bool] = False
    metadata: Mapping[str, Mapping[str, int]] = {}

    def __init__(self, volumes_dir: str | Path, splits_csv: str | Path) -> None:
        table = read_splits(splits_csv)
        self.folder, self.splits_sha256 = Path(volumes_dir), hash_splits(table)
        self.train = sorted(table.loc[table["split"] == "train", "sweep"])
        self.validation = sorted(table.loc[table["split"] == "val", "sweep"])
        if not self.train:
            raise InputError(
                file=splits_csv,
                found="no sweep with split train",
                expected="at least one training patient",
                remedy="give a patient the split train in cohort.csv and run `ingest` again",
            )
        self.load = lru_cache(maxsize=_CACHED_SWEEPS)(self._load)

    def path(self, sweep: str) -> Path:
        """Image file of a sweep; refuses sweeps of test patients."""
        if sweep not in self.train and sweep not in self.validation:
            raise ValueError(f"sweep {sweep} belongs to no training or validation patient")
        return self.folder / sweep / "image.nii.gz"

    def list_patients(self, names: list[str]) -> dict[str, list[str]]:
        """Patient -> sweeps, both sorted, from the sidecar that `ingest` writes beside each image.

        Raises:
            InputError: a sidecar is missing or names no patient.
        """
        found: dict[str, list[str]] = {}
        for sweep in sorted(names):
            path = self.path(sweep).with_name("sidecar.json")
            patient = read_json(path).get("patient") if path.is_file() else None
            if not patient:
                raise InputError(
                    file=path,
                    found="no patient" if path.is_file() else "no such file",
                    expected="the sidecar of the sweep, with its patient",
                    remedy="run the stage `ingest` again",
                )
            found.setdefault(str(patient), []).append(sweep)
        return dict(sorted(found.items()))

    def _load(self, sweep: str) -> Tensor:
        return torch.from_numpy(load_volume(self.path(sweep))[0])

    def describe(self) -> list[list[Any]]:
        """Name and size of every image file; a resumed run must find them unchanged."""
        found = []
        for sweep in self.train + self.validation:
            path = self.path(sweep)
            found.append([sweep, path.stat().st_size if path.is_file() else None])
        return found
