"""The base SAM: trained here on synthetic natural-looking scenes without any medical image, or an official file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from uscl_med3d.core.io import sha256, write_csv, write_json
from uscl_med3d.core.seeds import prepare_torch, rng, torch_generator
from uscl_med3d.foundation.distillation import Distiller
from uscl_med3d.foundation.official import check_file
from uscl_med3d.foundation.scenes import Pictures, draw_pictures
from uscl_med3d.foundation.slice_clicks import SliceBatch, click_loss, describe_job, mean_dice
from uscl_med3d.methods.base import torch_device
from uscl_med3d.methods.sam import SamMethod
from uscl_med3d.nets.sam import Sam, build_sam
from uscl_med3d.nets.sam.checkpoint import load_official, save_weights

NAME = "foundation_sam"
CURVE_COLUMNS = ["step", "loss", "learning_rate", "first_click_dice", "validation_dice"]


def train(
    job: Any, general_dirs: Mapping[str, Path], teacher: Path | None, weights_out: Path, curve_out: Path
) -> None:
    """Write the base weights, facts about them beside (.json), and the learning curve.

    `job.sam.weights` is `train`, or the path of `sam_vit_b_01ec64.pth`. Neither `general_dirs` nor `teacher` is
    used: SAM never sees a medical image. An interrupted training goes on with the same result.

    Raises:
        InputError: for a missing, wrong or unsuitable checkpoint.
    """
    settings, weights_out = job.sam, Path(weights_out)
    prepare_torch(job.seed, job.threads, NAME)
    architecture = settings.architecture.model_dump(mode="json")
    network = build_sam(architecture)
    if settings.weights == "train":
        start_network(network, settings.training.position_scale)
        training = SceneTraining(job, network)
        trainer = Distiller(
            network, [(list(network.parameters()), settings.training.learning_rate)], settings.training,
            training.loss, training.evaluate, weights_out.with_name(weights_out.name + ".resume"),
            describe_job(job),
        )  # fmt: skip
        curve = trainer.run("base SAM")
    else:
        check_file(Path(settings.weights), settings.sha256, settings.source)
        load_official(network, settings.weights, None, settings.source)
        curve = []
    save_weights(weights_out, "sam", architecture, network)
    write_facts(weights_out, settings, network, curve, curve_out)
    if settings.weights == "train":
        trainer.finish()


def write_facts(
    weights_out: Path, settings: Any, network: nn.Module, curve: list[dict[str, float]], curve_out: Path
) -> None:
    """The learning curve, and where the weights come from."""
    write_csv(curve_out, pd.DataFrame(curve, columns=CURVE_COLUMNS))
    write_json(
        weights_out.with_suffix(".json"),
        {"weights": settings.weights, "source": settings.source, "sha256": sha256(weights_out),
         "parameters": sum(value.numel() for value in network.parameters())},
    )  # fmt: skip


def start_network(network: Sam, position_scale: float) -> None:
    """Fresh weights: lower the spatial frequencies of the random position encoding, in place.

    The same reasoning as for SAM-Med3D (`foundation.sam_med3d.scale_positions`): on a coarse grid, a click
    should resemble the cell that it lies in.
    """
    with torch.no_grad():
        network.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix.mul_(position_scale)


class SceneTraining:
    """Draws scenes for every step, and held-out scenes for the learning curve."""

    def __init__(self, job: Any, network: Sam) -> None:
        self.seed, self.settings = job.seed, job.sam
        self.method = SamMethod(network, {}, (0.0, 100.0), torch_device(job.device))

    def loss(self, step: int) -> Tensor:
        """Loss of one step."""
        random = rng(self.seed, NAME, "clicks", step)
        return click_loss(self.method, self.draw("step", step), self.settings.training, random)

    def evaluate(self) -> dict[str, float]:
        """Columns of the learning curve."""
        training = self.settings.training
        count = -(-training.held_out_images // training.batch_size)
        batches = (self.draw("held_out", index) for index in range(count))
        return mean_dice(self.method, batches, training, (self.seed, NAME, "held_out_clicks"))

    def draw(self, *names: str | int) -> SliceBatch:
        """A batch of scenes of one random size, as 8-bit images, and some of their objects."""
        random = rng(self.seed, NAME, "size", *names)
        training = self.settings.training
        width = int(random.integers(training.sides[0], training.sides[1] + 1))
        height = round(width * float(random.uniform(*training.aspect)))
        generator = torch_generator(self.seed, NAME, "scenes", *names)
        pictures = draw_pictures(generator, training.batch_size, (height, width), self.settings.scenes)
        return choose_targets(
            pictures, training.masks_per_image, training.min_target_pixels, training.largest_target, random
        )


def choose_targets(
    pictures: Pictures, per_image: int, smallest: int, largest: float, random: np.random.Generator
) -> SliceBatch:
    """At most `per_image` objects of each picture, of `smallest` pixels to the share `largest` of the picture.

    If no object of any picture fits, the largest region of the first one is taken.
    """
    areas = pictures.regions.sum((2, 3)).numpy()
    pixels = pictures.regions.shape[2] * pictures.regions.shape[3]
    chosen: list[tuple[int, int]] = []
    for picture, sizes in enumerate(areas):
        fitting = np.flatnonzero((sizes >= smallest) & (sizes <= largest * pixels))
        chosen += [(picture, int(index)) for index in random.permutation(fitting)[:per_image]]
    chosen = chosen or [(0, int(areas[0].argmax()))]
    owner, objects = torch.tensor(chosen).unbind(1)
    return SliceBatch((pictures.images * 255).round(), pictures.regions[owner, objects], owner)
