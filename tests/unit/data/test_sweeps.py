"""Loading what `ingest` wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from raw_files import Cohort

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import save_volume
from uscl_med3d.data.ingest import ingest
from uscl_med3d.data.sweeps import load_sweep


@pytest.fixture
def volumes(cohort: Cohort, make_job, tmp_path: Path) -> Path:
    cohort.add("a", split="train")
    ingest(make_job(), cohort.save(), tmp_path / "volumes", tmp_path / "splits.csv")
    return tmp_path / "volumes"


def test_a_whole_sweep(volumes: Path) -> None:
    sweep = load_sweep(volumes, "a")
    assert sweep.id == "a" and sweep.image.shape == sweep.key_frames.shape
    assert sorted(sweep.key_frame_indices("prompt") + sweep.key_frame_indices("held_out")) == [1, 4, 6, 8]


def test_a_missing_sweep(volumes: Path) -> None:
    with pytest.raises(InputError, match=r"sidecar\.json"):
        load_sweep(volumes, "none")


def test_a_broken_volume(volumes: Path) -> None:
    (volumes / "a/image.nii.gz").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"image\.nii\.gz"):
        load_sweep(volumes, "a")


def test_key_frames_of_another_size(volumes: Path) -> None:
    save_volume(volumes / "a/key_frames.nii.gz", np.zeros((2, 2, 2), np.uint8), (1.0, 1.0, 1.0))
    with pytest.raises(InputError, match=r"shape \(2, 2, 2\)"):
        load_sweep(volumes, "a")
