"""The base SAM-Med3D: trained here on CT and MR without any ultrasound, or an official checkpoint.

Trained in two stages, because a network that learns from clicks alone learns where clicks lie and not what the image
shows (docs/image_use.md). First the encoder learns to tell structures apart, voxel by voxel (`dense`); then it is
frozen, and prompt encoder and decoder learn clicks on top of what it sees (`clicks`). The network is the official one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uscl_med3d.core.seeds import prepare_torch
from uscl_med3d.data.general import Reading
from uscl_med3d.foundation.general_crops import GeneralCrops
from uscl_med3d.foundation.official import check_file
from uscl_med3d.foundation.sam_med3d.clicks import ObjectClicks
from uscl_med3d.foundation.sam_med3d.dense import DenseLabels
from uscl_med3d.foundation.stages import DICE_COLUMNS, Stages, write_description
from uscl_med3d.methods.base import torch_device
from uscl_med3d.nets.card import preprocessing_of
from uscl_med3d.nets.sam_med3d import (
    SamMed3D,
    SamMed3DConfig,
    build_sam_med3d,
    load_checkpoint,
    save_checkpoint,
)
from uscl_med3d.train import engine

NAME = "foundation_sam_med3d"


def train(
    job: Any, general_dirs: Mapping[str, Path], teacher: Path | None, weights_out: Path, curve_out: Path
) -> None:
    """Write the base weights (and a .json beside them that says where they come from) and the learning curve.

    `job.sam_med3d.weights` is `train`, or the path of an official checkpoint, whose SHA-256 is checked if
    given.

    Raises:
        InputError: for a missing, wrong or unsuitable checkpoint, or sets without any target.
    """
    settings, weights_out = job.sam_med3d, Path(weights_out)
    prepare_torch(job.seed, job.threads, NAME)
    network = build_sam_med3d(SamMed3DConfig(**job.model.model_dump()))
    curve: list[dict[str, Any]] = []
    if settings.weights == "train":
        stages = _train(job, network, general_dirs, weights_out)
        curve = stages.curve
    else:
        check_file(Path(settings.weights), settings.sha256, settings.source)
        load_checkpoint(network, settings.weights)
    save_checkpoint(network, weights_out, preprocessing_of(settings.weights))
    facts = {"general_sets": sorted(general_dirs)}
    write_description(settings, network, weights_out, curve_out, curve, DICE_COLUMNS, facts)
    if settings.weights == "train":
        stages.finish()


def _train(job: Any, network: SamMed3D, general_dirs: Mapping[str, Path], weights_out: Path) -> Stages:
    """Both stages in turn."""
    training = job.sam_med3d.training
    network.to(torch_device(job.device))
    crops = GeneralCrops(general_dirs, Reading.of(job), job.model.image_size, training.crops, job.seed, NAME)
    belongs = engine.fingerprint(job, crops.files)
    stages = Stages(job, NAME, "base SAM-Med3D", weights_out, belongs, job.precision)
    stages.run("dense", lambda: DenseLabels(job, network, crops), training.dense)
    stages.run("clicks", lambda: ObjectClicks(job, network, crops), training.clicks)
    return stages
