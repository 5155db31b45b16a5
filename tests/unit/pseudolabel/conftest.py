"""A tiny ingested cohort: bright discs that drift and shrink along the sweep."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from uscl_med3d.core.io import save_volume, write_json, write_text
from uscl_med3d.core.params.pseudolabel import Gate, Pseudolabel, Review
from uscl_med3d.nets.seggpt import build_seggpt, save_seggpt

SHAPE = (9, 24, 28)
TINY = {
    "image_size": [32, 16],
    "pretrain_image_size": 16,
    "patch_size": 8,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "mlp_dim": 32,
    "merge_index": 0,
    "intermediate_hidden_state_indices": [0, 1],
    "decoder_hidden_size": 4,
    "initializer_range": 0.2,
    "drop_path_rate": 0.0,
}


@pytest.fixture
def settings() -> Pseudolabel:
    return Pseudolabel(
        method="seggpt",
        key_frames=None,
        prompts=2,
        prompt_weights="inverse_distance",
        score_threshold=0.5,
        batch_frames=4,
        gate=Gate(min_confidence=0.0, min_consistency=0.3, max_frames_outside=1, min_accepted_fraction=0.2),
        review=Review(frames=4, frame_width=64),
    )


@pytest.fixture
def job(settings: Pseudolabel) -> SimpleNamespace:
    return SimpleNamespace(
        seed=1, threads=1, device="cpu", classes={"liver": 3, "spleen": 4}, pseudolabel=settings
    )


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build_seggpt(TINY).eval()


@pytest.fixture
def weights(model, tmp_path: Path) -> Path:
    path = tmp_path / "seggpt.safetensors"
    save_seggpt(model, "instance", path)
    return path


def true_labels() -> np.ndarray:
    """(d, h, w): label 3 drifts through the whole sweep, label 4 shrinks and is gone in the last frames."""
    grid = np.moveaxis(np.indices(SHAPE[1:]), 0, -1)
    volume = np.zeros(SHAPE, dtype=np.uint8)
    for frame in range(SHAPE[0]):
        volume[frame][
            np.hypot(*(np.moveaxis(grid, -1, 0) - np.array([10, 6 + frame])[:, None, None])) < 5
        ] = 3
        volume[frame][
            np.hypot(*(np.moveaxis(grid, -1, 0) - np.array([18, 22])[:, None, None])) < 4 - frame
        ] = 4
    return volume


def write_sweep(volumes: Path, name: str, split: str, prompts: list[int], held_out: list[int]) -> None:
    labels = true_labels()
    noise = np.random.default_rng(len(name)).integers(1, 40, SHAPE)
    image = (noise + 60 * labels.astype(int) // 2).clip(1, 255).astype(np.uint8)
    keys = np.full(SHAPE, 255, dtype=np.uint8)
    for frame in prompts + held_out:
        keys[frame] = labels[frame]
    save_volume(volumes / name / "image.nii.gz", image, (1.0, 2.0, 2.0))
    save_volume(volumes / name / "key_frames.nii.gz", keys, (1.0, 2.0, 2.0))
    save_volume(volumes / name / "reference.nii.gz", labels, (1.0, 2.0, 2.0))
    roles = [(frame, "prompt") for frame in prompts] + [(frame, "held_out") for frame in held_out]
    write_json(
        volumes / name / "sidecar.json",
        {
            "patient": f"p_{name}",
            "sweep": name,
            "split": split,
            "spacing_mm": {"d": None, "h": 2.0, "w": 2.0},
            "has_reference": True,
            "key_frames": [{"frame": frame, "index": frame, "role": role} for frame, role in sorted(roles)],
        },
    )


@pytest.fixture
def cohort(tmp_path: Path) -> SimpleNamespace:
    """Sweeps a (train), b (val), bare (train, no key frames) and t (test)."""
    volumes = tmp_path / "volumes"
    write_sweep(volumes, "a", "train", [1, 6], [4])
    write_sweep(volumes, "b", "val", [0, 4, 8], [])
    write_sweep(volumes, "bare", "train", [], [])
    write_sweep(volumes, "t", "test", [], [2, 5])
    splits = tmp_path / "splits.csv"
    rows = [("a", "train"), ("b", "val"), ("bare", "train"), ("t", "test")]
    lines = [f"p_{name},{name},abdomen,abdomen_right,{split}" for name, split in rows]
    write_text(splits, "\n".join(["patient,sweep,group,view,split", *lines]) + "\n")
    return SimpleNamespace(volumes=volumes, splits=splits, write=partial(write_sweep, volumes))
