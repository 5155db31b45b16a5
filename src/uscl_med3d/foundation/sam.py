"""The base SAM: trained here on synthetic natural-looking scenes without any medical image, or an official file.

Trained in two stages, as the base SAM-Med3D: first the encoder learns which pixels belong to one object
(`foundation.similarity`), then prompt encoder and decoder learn clicks on top of it (`foundation.slice_clicks`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from uscl_med3d.core.seeds import prepare_torch, rng, torch_generator
from uscl_med3d.foundation.official import check_file
from uscl_med3d.foundation.scenes import Pictures, draw_pictures
from uscl_med3d.foundation.similarity import ObjectSimilarity
from uscl_med3d.foundation.slice_clicks import SliceBatch, SliceClicks
from uscl_med3d.foundation.stages import DICE_COLUMNS, Stages, write_description
from uscl_med3d.foundation.start import scale_positions, start_attention
from uscl_med3d.methods.base import torch_device
from uscl_med3d.methods.sam import SamMethod
from uscl_med3d.nets.sam import Sam, build_sam
from uscl_med3d.nets.sam.checkpoint import load_official, save_weights
from uscl_med3d.train import engine

NAME = "foundation_sam"
HELD_OUT_BATCH = 6  # scenes of one size


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
    stages = Stages(job, NAME, "base SAM", weights_out, engine.fingerprint(job))
    if settings.weights == "train":
        for stage, make_task in make_tasks(job, network).items():
            stages.run(stage, make_task, getattr(settings.training, stage))
    else:
        check_file(Path(settings.weights), settings.sha256, settings.source)
        load_official(network, settings.weights, None, settings.source)
    save_weights(weights_out, "sam", architecture, network)
    write_description(settings, network, weights_out, curve_out, stages.curve, DICE_COLUMNS, {})
    stages.finish()


def make_tasks(job: Any, network: Sam) -> dict[str, Callable[[], engine.Task]]:
    """What makes the task of each stage; the second one starts where the first one ended."""
    training, scenes = job.sam.training, SceneSource(job)
    method = SamMethod(network, {}, (0.0, 100.0), torch_device(job.device))
    held_out = scenes.draw_held_out(training.images.held_out_images)

    def make_dense() -> engine.Task:
        dense, encoder = training.dense, list(network.image_encoder.parameters())
        seeds = (job.seed, NAME, "dense")

        def draw(step: int) -> SliceBatch:
            return scenes.draw(dense.batch_size, dense.objects_per_image, "dense", step)

        return ObjectSimilarity(method, draw, held_out, dense, seeds, encoder)

    def make_clicks() -> engine.Task:
        clicks = training.clicks
        scale_positions(network, clicks.position_scale)
        start_attention(network, clicks.query_scale)

        def draw(step: int) -> SliceBatch:
            return scenes.draw(clicks.batch_size, clicks.objects_per_image, "step", step)

        return SliceClicks(method, draw, held_out, clicks, training.images, (job.seed, NAME))

    return {"dense": make_dense, "clicks": make_clicks}


class SceneSource:
    """Draws the scenes that SAM and its students learn from.

    Args:
        job: with `seed` and the section `sam`.
    """

    def __init__(self, job: Any) -> None:
        self.seed, self.scenes, self.sampling = job.seed, job.sam.scenes, job.sam.training.images

    def draw(self, count: int, objects: int, *names: str | int) -> SliceBatch:
        """`count` scenes of one random size, as 8-bit images, and at most `objects` objects of each.

        Args:
            names: of the random stream.
        """
        random, sampling = rng(self.seed, NAME, "size", *names), self.sampling
        width = int(random.integers(sampling.sides[0], sampling.sides[1] + 1))
        height = round(width * float(random.uniform(*sampling.aspect)))
        generator = torch_generator(self.seed, NAME, "scenes", *names)
        pictures = draw_pictures(generator, count, (height, width), self.scenes)
        return choose_targets(pictures, objects, sampling.min_target_pixels, sampling.largest_target, random)

    def draw_held_out(self, count: int) -> list[SliceBatch]:
        """At least `count` scenes that no training sees, always the same ones."""
        batches = -(-count // HELD_OUT_BATCH)
        return [self.draw(HELD_OUT_BATCH, 3, "held_out", index) for index in range(batches)]


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
