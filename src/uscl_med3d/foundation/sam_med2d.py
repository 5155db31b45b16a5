"""The base SAM-Med2D: the base SAM with adapters, tuned on CT and MR slices without any ultrasound, or official.

As in the paper (arXiv 2308.16184), the image encoder stays frozen but for its adapters, and prompt encoder and
mask decoder train along. Unlike the public code, the whole SAM is taken over, mask tokens included, and the best
of several masks is learned from, not the one whose IoU is predicted highest (docs/methods.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import sha256
from uscl_med3d.core.seeds import prepare_torch
from uscl_med3d.data.general import Reading
from uscl_med3d.foundation.general_slices import GeneralSlices
from uscl_med3d.foundation.official import check_file
from uscl_med3d.foundation.similarity import ObjectSimilarity
from uscl_med3d.foundation.slice_clicks import SliceBatch, SliceClicks
from uscl_med3d.foundation.stages import DICE_COLUMNS, Stages, write_description
from uscl_med3d.methods.base import torch_device
from uscl_med3d.methods.sam_med2d import SamMed2DMethod
from uscl_med3d.nets.sam import Sam
from uscl_med3d.nets.sam.checkpoint import load_official, read_weights, save_weights
from uscl_med3d.train import engine

NAME = "foundation_sam_med2d"
ADDED = {"adapter_ratio", "small_slices"}


def train(
    job: Any, general_dirs: Mapping[str, Path], teacher: Path | None, weights_out: Path, curve_out: Path
) -> None:
    """Write the base weights, facts about them beside (.json), and the learning curve.

    Args:
        job: `job.sam_med2d.weights` is `train`, or the path of sam-med2d_b.pth.
        general_dirs: set name -> folder; their training parts are used, for `train` only.
        teacher: weights of the base SAM to start from; needed for `train` only.

    Raises:
        InputError: for a missing, wrong or unsuitable file, or sets without any target.
    """
    settings, weights_out = job.sam_med2d, Path(weights_out)
    prepare_torch(job.seed, job.threads, NAME)
    architecture = settings.architecture.model_dump(mode="json")
    network = SamMed2DMethod.build(architecture)
    curve: list[dict[str, Any]] = []
    if settings.weights == "train":
        start_from_sam(network, architecture, teacher)
        assert teacher is not None  # start_from_sam refuses that
        sampling, small = settings.training.images, architecture["small_slices"] == "pad"
        slices = GeneralSlices(
            general_dirs, Reading.of(job), sampling, architecture["image_size"], small, job.seed, NAME
        )
        belongs = engine.fingerprint(job, sha256(teacher), slices.files)
        stages = Stages(job, NAME, "base SAM-Med2D", weights_out, belongs)
        method = SamMed2DMethod(network, architecture, sampling.percentiles, torch_device(job.device))
        for stage, make_task in make_tasks(job, method, slices).items():
            stages.run(stage, make_task, getattr(settings.training, stage))
        curve = stages.curve
    else:
        check_file(Path(settings.weights), settings.sha256, settings.source)
        load_official(network, settings.weights, "model", settings.source)
    save_weights(weights_out, "sam_med2d", architecture, network)
    write_description(settings, network, weights_out, curve_out, curve, DICE_COLUMNS, {})
    if settings.weights == "train":
        stages.finish()


def make_tasks(
    job: Any, method: SamMed2DMethod, slices: GeneralSlices
) -> dict[str, Callable[[], engine.Task]]:
    """What makes the task of each stage; the second one starts where the first one ended."""
    training = job.sam_med2d.training
    held_out = slices.draw_held_out(training.images.held_out_images, 3)

    def make_dense() -> engine.Task:
        dense, seeds = training.dense, (job.seed, NAME, "dense")

        def draw(step: int) -> SliceBatch:
            return slices.draw(dense.batch_size, dense.objects_per_image, "dense batch", step)

        return ObjectSimilarity(method, draw, held_out, dense, seeds, train_adapters_only(method.network))

    def make_clicks() -> engine.Task:
        clicks = training.clicks

        def draw(step: int) -> SliceBatch:
            return slices.draw(clicks.batch_size, clicks.objects_per_image, "batch", step)

        return SliceClicks(method, draw, held_out, clicks, training.images, (job.seed, NAME))

    return {"dense": make_dense, "clicks": make_clicks}


def start_from_sam(network: Sam, architecture: Mapping[str, Any], teacher: Path | None) -> None:
    """Take over every tensor of the base SAM; the adapters stay fresh.

    Raises:
        InputError: without a file, or for a SAM of another architecture.
    """
    if teacher is None:
        raise InputError(
            file="foundation.sam_med2d",
            found="no weights of the base SAM",
            expected="weights of foundation.sam to start from",
            remedy="give --teacher",
        )
    found, tensors = read_weights(teacher, "sam")
    wrong = [name for name in architecture if name not in ADDED and architecture[name] != found.get(name)]
    if wrong:
        raise InputError(
            file="params.yaml, foundation.sam_med2d.architecture",
            found="; ".join(f"{name}: {architecture[name]}" for name in wrong),
            expected="the base SAM's: " + "; ".join(f"{name}: {found.get(name)}" for name in wrong),
            remedy="give both sections the same values",
        )
    network.load_state_dict({**network.state_dict(), **tensors}, strict=True)


def train_adapters_only(network: Sam) -> list[nn.Parameter]:
    """Freeze the image encoder but for its adapters; what trains of it, in order."""
    for name, parameter in network.image_encoder.named_parameters():
        parameter.requires_grad_(".Adapter." in name)
    return [parameter for parameter in network.image_encoder.parameters() if parameter.requires_grad]
