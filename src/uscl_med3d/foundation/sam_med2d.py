"""The base SAM-Med2D: the base SAM with adapters, tuned on CT and MR slices without any ultrasound, or official.

As in the paper (arXiv 2308.16184), the image encoder stays frozen but for its adapters, and prompt encoder and
mask decoder train along. Unlike the public code, the whole SAM is taken over, mask tokens included, and the best
of several masks is learned from, not the one whose IoU is predicted highest (docs/methods.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import sha256
from uscl_med3d.core.seeds import prepare_torch, rng
from uscl_med3d.data.general import Reading
from uscl_med3d.foundation.distillation import Distiller
from uscl_med3d.foundation.general_slices import GeneralSlices
from uscl_med3d.foundation.official import check_file
from uscl_med3d.foundation.sam import write_facts
from uscl_med3d.foundation.slice_clicks import click_loss, describe_job, mean_dice
from uscl_med3d.methods.base import torch_device
from uscl_med3d.methods.sam_med2d import SamMed2DMethod
from uscl_med3d.nets.sam import Sam
from uscl_med3d.nets.sam.checkpoint import load_official, read_weights, save_weights

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
    if settings.weights == "train":
        start_from_sam(network, architecture, teacher)
        assert teacher is not None  # start_from_sam refuses that
        training = SliceTraining(job, general_dirs, network, architecture)
        trainer = Distiller(
            network, [(choose_trained(network), settings.training.learning_rate)], settings.training,
            training.loss, training.evaluate, weights_out.with_name(weights_out.name + ".resume"),
            describe_job(job, sha256(teacher), str(training.slices.files)),
        )  # fmt: skip
        curve = trainer.run("base SAM-Med2D")
    else:
        check_file(Path(settings.weights), settings.sha256, settings.source)
        load_official(network, settings.weights, "model", settings.source)
        curve = []
    save_weights(weights_out, "sam_med2d", architecture, network)
    write_facts(weights_out, settings, network, curve, curve_out)
    if settings.weights == "train":
        trainer.finish()


def start_from_sam(network: Sam, architecture: Mapping[str, Any], teacher: Path | None) -> None:
    """Take over every tensor of the base SAM; the adapters stay fresh.

    Raises:
        InputError: without a file, or for a SAM of another architecture.
    """
    if teacher is None:
        raise InputError(
            file="foundation.sam_med2d", found="no weights of the base SAM",
            expected="weights of foundation.sam to start from", remedy="give --teacher",
        )  # fmt: skip
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


def choose_trained(network: Sam) -> list[nn.Parameter]:
    """Freeze the image encoder but for its adapters; what trains, in order."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not name.startswith("image_encoder.") or ".Adapter." in name)
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


class SliceTraining:
    """Draws slices of the training patients for every step, and of others for the learning curve."""

    def __init__(
        self, job: Any, general_dirs: Mapping[str, Path], network: Sam, architecture: Mapping[str, Any]
    ) -> None:
        self.seed, self.training = job.seed, job.sam_med2d.training
        self.method = SamMed2DMethod(
            network, architecture, self.training.percentiles, torch_device(job.device)
        )
        pads_small = architecture["small_slices"] == "pad"
        self.slices = GeneralSlices(
            general_dirs,
            Reading.of(job),
            self.training,
            architecture["image_size"],
            pads_small,
            job.seed,
            NAME,
        )
        self.held_out = self.slices.draw_held_out()

    def loss(self, step: int) -> Tensor:
        """Loss of one step."""
        return click_loss(
            self.method, self.slices.draw(step), self.training, rng(self.seed, NAME, "clicks", step)
        )

    def evaluate(self) -> dict[str, float]:
        """Columns of the learning curve."""
        if not self.held_out:
            return {"first_click_dice": float("nan"), "validation_dice": float("nan")}
        return mean_dice(self.method, self.held_out, self.training, (self.seed, NAME, "held_out_clicks"))
