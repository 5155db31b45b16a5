"""The base SAM-Med3D: trained here on CT and MR without any ultrasound, or an official checkpoint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import sha256, write_csv, write_json
from uscl_med3d.core.seeds import prepare_torch
from uscl_med3d.data.general import Reading
from uscl_med3d.foundation.general_crops import GeneralCrops
from uscl_med3d.methods.base import torch_device
from uscl_med3d.methods.full_tuning import FullTuningMethod
from uscl_med3d.nets.sam_med3d import (
    SamMed3D,
    SamMed3DConfig,
    build_sam_med3d,
    load_checkpoint,
    save_checkpoint,
)
from uscl_med3d.train.loop import ClickTrainer, Example

CURVE_COLUMNS = ["step", "loss", "learning_rate", "validation_dice"]
NAME = "foundation_sam_med3d"


def scale_positions(network: SamMed3D, scale: float) -> None:
    """Lower the spatial frequencies of the random position encoding, in place.

    Two positions resemble each other within about 0.08 / scale of the crop's side: the width of the kernel of
    random Fourier features. Officially (scale 1) that is 0.6 cells of an 8-cell grid, but only 0.4 of a
    5-cell one, where a click looks unlike the very cell it lies in, and a short training does not learn where
    clicks are.
    """
    with torch.no_grad():
        network.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix.mul_(scale)


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
    curve: list[dict[str, float]] = []
    if settings.weights == "train":
        scale_positions(network, settings.training.position_scale)
        trainer = _make_trainer(job, network, general_dirs, weights_out)
        curve = trainer.run("base SAM-Med3D").curve
    else:
        check_file(Path(settings.weights), settings.sha256, settings.source)
        load_checkpoint(network, settings.weights)
    save_checkpoint(network, weights_out)
    write_csv(curve_out, pd.DataFrame(curve, columns=CURVE_COLUMNS))
    write_json(
        weights_out.with_suffix(".json"),
        {"weights": settings.weights, "source": settings.source, "sha256": sha256(weights_out),
         "parameters": sum(value.numel() for value in network.parameters()),
         "general_sets": sorted(general_dirs)},
    )  # fmt: skip
    if settings.weights == "train":
        trainer.finish()


def check_file(path: Path, expected_sha256: str | None, source: str) -> None:
    """Raise `InputError` if a checkpoint is missing or is another file than expected."""
    remedy = f"download it from {source} and save it as {path}"
    if not path.is_file():
        raise InputError(file=path, found="no such file", expected="the official checkpoint", remedy=remedy)
    if expected_sha256 is not None:
        found = sha256(path)
        if found != expected_sha256.lower():
            raise InputError(
                file=path, found=f"SHA-256 {found}", expected=f"SHA-256 {expected_sha256}", remedy=remedy
            )


def _make_trainer(
    job: Any, network: SamMed3D, general_dirs: Mapping[str, Path], weights_out: Path
) -> ClickTrainer:
    schedule = job.sam_med3d.training
    method = FullTuningMethod(network, job.prompts, torch_device(job.device))
    parameters = method.prepare_training()
    crops = GeneralCrops(general_dirs, Reading.of(job), job.model.image_size, schedule, job.seed, NAME)
    content = [job.model_dump(mode="json"), crops.files, torch.__version__]
    fingerprint = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return ClickTrainer(
        method, parameters, schedule, schedule.learning_rate,
        lambda step: Example(crops.draw(step), None), lambda: crops.validate(method), (job.seed, NAME),
        weights_out.with_name(weights_out.name + ".resume"), fingerprint, job.precision,
    )  # fmt: skip
