"""Fixtures: a tiny ingested cohort (bright balls), general-domain sets, base weights, and job files."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from uscl_med3d.core import params as parameters
from uscl_med3d.core.io import save_volume, write_json, write_text
from uscl_med3d.core.params.files import read_defaults
from uscl_med3d.core.runs import list_runs
from uscl_med3d.nets.sam_med3d import SamMed3DConfig, build_sam_med3d, save_checkpoint

ROOT = Path(__file__).resolve().parents[1]
PARAMS = read_defaults(ROOT)
SMOKE = yaml.safe_load((ROOT / "workflow/scales/smoke.yaml").read_text(encoding="utf-8"))
SIZE = 16
MODEL = {
    "image_size": SIZE,
    "patch_size": 8,
    "embed_dim": 24,
    "depth": 2,
    "num_heads": 2,
    "global_blocks": [1],
    "prompt_dim": 48,
    "decoder_mlp_dim": 16,
    "iou_head_dim": 8,
    "mask_channels": 4,
    "window_size": 14,
}
SHAPE = (20, 22, 14)


@dataclass(frozen=True)
class Cohort:
    """Folders and files of the tiny data."""

    volumes: Path
    splits: Path
    pseudolabels: Path
    general: dict[str, Path]
    base: Path


def draw_balls(shape: tuple[int, int, int], values: list[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Image uint8 and label map with one ball per value."""
    random = np.random.default_rng(seed)
    grid = np.stack(np.indices(shape), -1)
    image = random.integers(40, 60, shape).astype(np.uint8)
    labels = np.zeros(shape, np.uint8)
    for value in values:
        centre = [random.integers(5, length - 5) for length in shape]
        ball = ((grid - centre) ** 2).sum(-1) < 16
        labels[ball] = value
        image[ball] = 100 + 30 * value
    return image, labels


def write_sweep(
    volumes: Path,
    sweep: str,
    patient: str,
    split: str,
    values: list[int],
    seed: int,
    reference: bool,
    annotated: bool,
    tracked: bool,
) -> np.ndarray:
    """Files of one ingested sweep; key frames 4, 9, 14, of which 9 is held out (all for the test split)."""
    image, labels = draw_balls(SHAPE, values, seed)
    folder = volumes / sweep
    folder.mkdir(parents=True)
    frames = [4, 9, 14] if annotated else []
    key_frames = np.full(SHAPE, 255, np.uint8)
    key_frames[frames] = labels[frames]
    spacing = (2.0 if tracked else None, 1.5, 1.5)
    arrays = {"image": image, "key_frames": key_frames} | ({"reference": labels} if reference else {})
    for name, array in arrays.items():
        save_volume(folder / f"{name}.nii.gz", array, (1.0, 1.5, 1.5))
    entries = [
        {"frame": f, "index": f, "role": "held_out" if f == 9 or split == "test" else "prompt"}
        for f in frames
    ]
    write_json(
        folder / "sidecar.json",
        {
            "patient": patient,
            "sweep": sweep,
            "group": "abdomen",
            "view": "abdomen_right",
            "split": split,
            "spacing_mm": dict(zip("dhw", spacing, strict=True)),
            "key_frames": entries,
            "has_reference": reference,
            "axis_without_millimetres": None if tracked else "d",
        },
    )
    return labels


def make_cohort(folder: Path, model: Any) -> Cohort:
    """Two training sweeps, one for validation, three for testing: true masks, key frames only, nothing."""
    volumes, labels = folder / "volumes", folder / "pseudolabels"
    sweeps = [
        ("t1", "train", [3, 5], True, True, False),
        ("t2", "train", [1, 2, 4], True, True, True),
        ("v1", "val", [1, 2, 3, 4, 5], True, True, False),
        ("e1", "test", [3, 4], True, True, False),
        ("e2", "test", [5], False, True, True),
        ("e3", "test", [1], False, False, True),
    ]
    rows = ["patient,sweep,group,view,split"]
    for seed, (name, split, values, reference, annotated, tracked) in enumerate(sweeps):
        truth = write_sweep(
            volumes, f"s_{name}", f"p_{name}", split, values, seed, reference, annotated, tracked
        )
        rows.append(f"p_{name},s_{name},abdomen,abdomen_right,{split}")
        pseudo = truth.copy()
        pseudo[:2] = 255
        save_volume(labels / f"s_{name}.nii.gz", pseudo, (1.0, 1.5, 1.5))
    splits = folder / "splits.csv"
    write_text(splits, "\n".join(rows[:1] + sorted(rows[1:])) + "\n")
    general = {name: folder / "general" / name for name in ("amos", "totalsegmentator", "brats")}
    for number, root in enumerate(general.values()):
        write_json(
            root / "dataset.json", {"labels": {"background": 0, "organ_a": 1, "organ_b": 2, "organ_c": 3}}
        )
        for part, count in (("Tr", 2), ("Ts", 1)):
            for case in range(count):
                image, truth = draw_balls((18, 18, 24), [1, 2, 3], 100 + 10 * number + case)
                save_volume(root / f"images{part}" / f"{part}{case}_0000.nii.gz", image, (2.0, 2.0, 2.0))
                save_volume(root / f"labels{part}" / f"{part}{case}.nii.gz", truth, (2.0, 2.0, 2.0))
    torch.manual_seed(3)
    network = build_sam_med3d(SamMed3DConfig(**model.model_dump()))
    with torch.no_grad():
        for value in network.parameters():  # position tables start at zero, which would hide mistakes
            value.add_(0.02 * torch.randn_like(value))
    save_checkpoint(network, folder / "base.safetensors")
    return Cohort(volumes, splits, labels, general, folder / "base.safetensors")


def overlay(values: dict[str, Any], changes: dict[str, Any]) -> None:
    """Replace single values of nested dictionaries, as an overlay of params.yaml does."""
    for key, change in changes.items():
        if isinstance(change, dict) and isinstance(values.get(key), dict):
            overlay(values[key], change)
        else:
            values[key] = change


def tiny_params(**changes: Any) -> parameters.Params:
    """params.yaml with a tiny model and short trainings; `changes` are dotted keys with `__` for the dot."""
    values = copy.deepcopy(PARAMS)
    for section in ("foundation", "methods"):
        overlay(values[section], SMOKE[section])
    values["methods"]["uscl_med3d"]["grid"] = copy.deepcopy(PARAMS["methods"]["uscl_med3d"]["grid"])
    values["model"] |= MODEL
    values["compared"] = "all"  # the registry, whatever the default run compares
    short = {
        "steps": 6,
        "batch_size": 2,
        "clicks": 2,
        "warmup_steps": 2,
        "min_target_voxels": 5,
        "evaluate_every": 3,
        "validation_targets": 3,
        "validation_clicks": 2,
        "resume_every": 2,
    }
    values["finetune"] |= short
    modules = ["encoder", "decoder", "both"]
    values["methods"]["uscl_med3d"]["grid"] |= {
        "ranks": [8, 32],
        "modules": modules,
        "sweep_modules": modules,
    }
    crops = {
        "min_target_voxels": 5,
        "validation_patients": 1,
        "validation_targets": 3,
        "validation_clicks": 2,
    }
    for name in ("sam_med3d", "fastsam3d"):
        values["foundation"][name]["training"]["crops"] |= crops
    values["evaluate"] |= {"clicks": 3, "min_target_voxels": 5, "surface_at": [], "batch_size": 3}
    values["evaluate"]["image_use"] |= {"points": [1, 3]}
    for name, value in changes.items():
        *path, last = name.split("__")
        section = values
        for key in path:
            section = section[key]
        section[last] = value
    return parameters.validate(values, "params.yaml")


def tiny_job(stage: str, run: str | None = None, **changes: Any) -> Any:
    """The typed job of a stage (and run) with `tiny_params(**changes)`."""
    params = tiny_params(**changes)
    chosen = next(r for r in list_runs(params.methods, params.training_seeds) if r.id == run) if run else None
    return parameters.job_model(stage).model_validate(parameters.slice_job(params, stage, chosen))


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """The tiny data, made once."""
    return make_cohort(tmp_path_factory.mktemp("tiny"), tiny_params().model)


@pytest.fixture(scope="session")
def make_job() -> Callable[..., Any]:
    """`tiny_job`."""
    return tiny_job
