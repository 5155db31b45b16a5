"""A folder of small clips without any label, and a small base model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_sam import SAM_MED3D
from unlabelled import NAMES, ROOT, SMALL, write_clip

from uscl_med3d.core.params.files import overlay
from uscl_med3d.nets.sam_med3d import SamMed3DConfig, build_sam_med3d, save_checkpoint
from uscl_med3d.user.defaults import read_params
from uscl_med3d.user.pretraining.job import Base, Wanted


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Five clips of four patients, and two files that are none."""
    folder = tmp_path / "clips"
    for seed, name in enumerate(NAMES):
        write_clip(folder / name, seed)
    (folder / "README.txt").write_text("about these clips")
    (folder / ".hidden.nii.gz").write_bytes(b"")
    return folder


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """A small base model."""
    path = tmp_path_factory.mktemp("base") / "base.safetensors"
    torch.manual_seed(0)
    model = build_sam_med3d(SamMed3DConfig(**SAM_MED3D))
    torch.nn.init.normal_(model.image_encoder.pos_embed, std=0.02)
    save_checkpoint(model, path)
    return Base(path, SAM_MED3D)


@pytest.fixture(scope="session")
def values() -> dict[str, Any]:
    """The default parameters, with a few crops of each clip."""
    return overlay(read_params(ROOT / "params.yaml", ROOT / "params/ssl.yaml"), SMALL)


@pytest.fixture(scope="session")
def ask() -> Callable[..., Wanted]:
    """What a call asks for, with changes."""

    def make(**changes: Any) -> Wanted:
        asked: dict[str, Any] = {
            "task": "vcl",
            "rank": 4,
            "steps": 4,
            "seed": 3,
            "threads": 1,
            "device": None,
            "measuring": 0.25,
            "table": None,
            "control": False,
        }
        return Wanted(**(asked | changes))

    return make
