"""The base SAM-Med3D: trained here on CT and MR without any ultrasound, or an official checkpoint.

Trained in two stages, because a network that learns from clicks alone learns where clicks lie and not what the image
shows (docs/image_use.md). First the encoder learns to tell structures apart, voxel by voxel (`dense`); then it is
frozen, and prompt encoder and decoder learn clicks on top of what it sees (`clicks`). The network is the official one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.core.io import sha256, write_csv, write_json
from uscl_med3d.core.seeds import prepare_torch
from uscl_med3d.data.general import Reading
from uscl_med3d.foundation.general_crops import GeneralCrops
from uscl_med3d.foundation.official import check_file
from uscl_med3d.foundation.sam_med3d.clicks import ObjectClicks
from uscl_med3d.foundation.sam_med3d.dense import DenseLabels
from uscl_med3d.methods.base import torch_device
from uscl_med3d.nets.sam_med3d import (
    SamMed3D,
    SamMed3DConfig,
    build_sam_med3d,
    load_checkpoint,
    save_checkpoint,
)
from uscl_med3d.train import engine

CURVE_COLUMNS = [
    "stage",
    "step",
    "loss",
    "learning_rate",
    "validation_dice",
    "first_click_dice",
    "first_click_other_image",
    "last_click_dice",
    "last_click_other_image",
]
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
    unfinished: list[engine.ResumeFile] = []
    if settings.weights == "train":
        curve, unfinished = _train(job, network, general_dirs, weights_out)
    else:
        check_file(Path(settings.weights), settings.sha256, settings.source)
        load_checkpoint(network, settings.weights)
    save_checkpoint(network, weights_out)
    write_csv(curve_out, pd.DataFrame(curve, columns=CURVE_COLUMNS))
    write_json(
        weights_out.with_suffix(".json"),
        {
            "weights": settings.weights,
            "source": settings.source,
            "sha256": sha256(weights_out),
            "parameters": sum(value.numel() for value in network.parameters()),
            "general_sets": sorted(general_dirs),
        },
    )
    for file in unfinished:
        file.remove()


def _train(
    job: Any, network: SamMed3D, general_dirs: Mapping[str, Path], weights_out: Path
) -> tuple[list[dict[str, Any]], list[engine.ResumeFile]]:
    """Both stages in turn; their learning curves below each other, and their resume files."""
    training, device = job.sam_med3d.training, torch_device(job.device)
    network.to(device)
    crops = GeneralCrops(general_dirs, Reading.of(job), job.model.image_size, training.crops, job.seed, NAME)
    belongs = engine.fingerprint(job, crops.files)
    curve: list[dict[str, Any]] = []
    unfinished = []
    for stage, task_of, schedule in (
        ("dense", DenseLabels, training.dense),
        ("clicks", ObjectClicks, training.clicks),
    ):
        task = task_of(job, network, crops)
        resume = engine.ResumeFile(weights_out.with_name(f"{weights_out.name}.{stage}"), belongs)
        progress = engine.run(
            task,
            schedule,
            seeds=(job.seed, NAME, stage),
            resume=resume,
            precision=job.precision,
            title=f"base SAM-Med3D, {stage}",
        )
        curve += [{"stage": stage, **row} for row in progress.curve]
        unfinished.append(resume)
    return curve, unfinished
