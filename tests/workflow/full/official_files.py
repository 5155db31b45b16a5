"""Checkpoint files as their authors publish them, at full size: official names, shapes and nesting, random weights.

They stand for the files that data/external/README.md lists, so that the scale `paper` can be run without a download. Their
masks mean nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import SegGptConfig

from uscl_med3d.core.io import write_json
from uscl_med3d.nets.fastsam3d import FastSam3DEncoder
from uscl_med3d.nets.fastsam3d.config import OFFICIAL_STUDENT
from uscl_med3d.nets.mobile_sam import OFFICIAL as MOBILE_SAM
from uscl_med3d.nets.mobile_sam import build_mobile_sam
from uscl_med3d.nets.sam import PRESETS as SAM
from uscl_med3d.nets.sam import build_sam
from uscl_med3d.nets.sam_med3d import PRESETS as SAM_MED3D
from uscl_med3d.nets.sam_med3d import build_sam_med3d
from uscl_med3d.nets.seggpt import build_seggpt

State = dict[str, Tensor]
SEGGPT_CONFIG: dict[str, Any] = SegGptConfig().to_dict()
"""The library's defaults are those of `BAAI/seggpt-vit-large`."""

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "sam_med3d": lambda: build_sam_med3d(SAM_MED3D["vit_b_ori"]),
    "seggpt": lambda: build_seggpt(SEGGPT_CONFIG),
    "fastsam3d": lambda: FastSam3DEncoder(OFFICIAL_STUDENT),
    "sam": lambda: build_sam(SAM["sam_vit_b"]),
    "mobile_sam": lambda: build_mobile_sam(MOBILE_SAM),
    "tinysam": lambda: build_mobile_sam(MOBILE_SAM),
    "sam_med2d": lambda: build_sam(SAM["sam_med2d"]),
}
"""Key of `foundation` -> the network whose tensors its official file holds (FastSAM3D's: an image encoder alone)."""


def describe_shapes(model: str) -> dict[str, list[int]]:
    """Names and shapes of the tensors of an official file; no memory is taken for them."""
    with torch.device("meta"):
        return {name: list(value.shape) for name, value in NETWORKS[model]().state_dict().items()}


def draw_state(model: str, seed: int) -> State:
    """Random tensors of an official file. What starts at zero (position tables, last layers) gets small values, because
    zeros would hide a tensor that is never read."""
    torch.manual_seed(seed)
    state = NETWORKS[model]().state_dict()
    for name, value in state.items():
        if value.is_floating_point() and "running_" not in name and not value.any():
            value.copy_(0.02 * torch.randn_like(value))
    return state


def nest(model: str, state: State) -> Any:
    """What the torch file of a base model holds round its tensors."""
    if model == "sam_med3d":  # what train.py of SAM-Med3D writes beside them
        return {
            "epoch": 1,
            "model_state_dict": state,
            "losses": [1.0],
            "dices": [0.0],
            "best_loss": 1.0,
            "best_dice": 0.0,
            "args": argparse.Namespace(task_name="random", img_size=128),
            "used_datas": [],
        }
    wrapper = {"sam_med2d": "model", "fastsam3d": "model_state_dict"}.get(model)
    return {wrapper: state} if wrapper else state


def write(model: str, place: Path, seed: int) -> Path:
    """Write the file of a base model where the parameters say (`foundation.<model>.weights`); return the file."""
    state = draw_state(model, seed)
    if model == "seggpt":
        place.mkdir(parents=True, exist_ok=True)
        write_json(place / "config.json", SEGGPT_CONFIG)
        save_file(state, place / "model.safetensors", {"format": "pt"})
        return place / "model.safetensors"
    place.parent.mkdir(parents=True, exist_ok=True)
    torch.save(nest(model, state), place)
    return place
