"""The whole network: FastSAM3D's image encoder with SAM-Med3D's prompt encoder and mask decoder; its file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from torch import Tensor

from uscl_med3d.core.errors import InputError
from uscl_med3d.nets.card import KEY, read_preprocessing
from uscl_med3d.nets.fastsam3d.config import FastSam3DConfig
from uscl_med3d.nets.fastsam3d.image_encoder import FastSam3DEncoder
from uscl_med3d.nets.sam_med3d import SamMed3D, SamMed3DConfig
from uscl_med3d.nets.tensors import read_metadata, read_tensors, save_tensors


def build_fastsam3d(student: FastSam3DConfig, config: SamMed3DConfig) -> SamMed3D:
    """A SAM-Med3D of shape `config` whose image encoder is the student's; fresh weights.

    Raises:
        ValueError: if the student's crops or embedding are not those of `config`.
    """
    for name in ("image_size", "patch_size", "prompt_dim"):
        if getattr(student, name) != getattr(config, name):
            raise ValueError(
                f"{name} is {getattr(student, name)} in the student but {getattr(config, name)} in SAM-Med3D"
            )
    return SamMed3D(config, FastSam3DEncoder(student))


def save_fastsam3d(path: str | Path, network: SamMed3D) -> None:
    """Write all weights with architecture and preprocessing, so that `load_fastsam3d` needs nothing but the file."""
    assert isinstance(network.image_encoder, FastSam3DEncoder)
    architecture = {"student": asdict(network.image_encoder.config), "sam_med3d": asdict(network.config)}
    belongs = {"model": "fastsam3d", "architecture": json.dumps(architecture, sort_keys=True)}
    if network.preprocessing == "official":
        belongs[KEY] = network.preprocessing
    save_tensors(path, network.state_dict(), belongs)


def load_fastsam3d(path: str | Path) -> SamMed3D:
    """The network of a file that `save_fastsam3d` wrote.

    Raises:
        InputError: for an unreadable file, or one of another model.
    """
    belongs = read_metadata(path)
    if belongs.get("model") != "fastsam3d":
        raise InputError(
            file=path,
            found=f"weights of {belongs.get('model', 'an unnamed model')}",
            expected="weights of fastsam3d, with their architecture",
            remedy="delete the file, so that `foundation` writes it again",
        )
    architecture: Mapping[str, dict] = json.loads(belongs["architecture"])
    network = build_fastsam3d(
        FastSam3DConfig(**architecture["student"]), SamMed3DConfig(**architecture["sam_med3d"])
    )
    state: dict[str, Tensor] = read_tensors(path, belongs)
    network.load_state_dict(state, strict=True)
    network.preprocessing = read_preprocessing(Path(path)) or "ours"
    return network
