"""One arm of the comparison on frames: an encoder from random weights, a pretext task, frozen features, probes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import write_csv, write_packed_csv
from uscl_med3d.core.params.files import overlay
from uscl_med3d.core.params.ssl import ENCODER, LABELS_SHUFFLED, PLACE, TAUGHT, Arm
from uscl_med3d.core.seeds import derive_training, prepare_torch, rng
from uscl_med3d.data.splits import read_splits
from uscl_med3d.methods.base import torch_device
from uscl_med3d.nets.frame_resnet import FrameResNet, build_frame_resnet
from uscl_med3d.pretext import find_pretext, read_options
from uscl_med3d.selfsupervised.base import collapse, pool_grid
from uscl_med3d.selfsupervised.sweeps import SweepImages
from uscl_med3d.ssl.maps import grey_values, place_terms, stack_stages
from uscl_med3d.ssl.probe import probe_all
from uscl_med3d.ssl.probe_frames import ProbeFrames, ask_in_groups, load_probe_frames
from uscl_med3d.ssl.supervised import Supervised
from uscl_med3d.train import engine

_CHUNK = 64  # frames encoded at a time; no influence on results


class FrameSweeps(SweepImages):
    """Sweeps whose images are single frames; of one group, where an arm asks for it.

    Args:
        metadata_csv: classes of patients (`ssl.metadata`), or None where the cohort has none.
    """

    frames: ClassVar[bool] = True

    def __init__(self, volumes: Path, splits_csv: Path, group: str | None, metadata_csv: Path | None) -> None:
        super().__init__(volumes, splits_csv)
        groups = read_splits(splits_csv).set_index("sweep")["group"]
        self.train = [sweep for sweep in self.train if group in (None, groups[sweep])]
        self.validation = [sweep for sweep in self.validation if group in (None, groups[sweep])]
        if not self.train:
            raise InputError(
                file=splits_csv,
                found=f"no training sweep of the group {group}",
                expected="sweeps of the group that an arm of ssl.frames names",
                remedy="name another group there, or leave the arm out",
            )
        if metadata_csv is not None:
            table = pd.read_csv(metadata_csv, dtype={"patient": str})
            patients = [str(name) for name in table["patient"]]
            self.metadata = {
                str(name).removesuffix("_class"): dict(zip(patients, map(int, table[name]), strict=True))
                for name in table.columns
                if str(name).endswith("_class")
            }


def run_arm(
    job: Any,
    name: str,
    volumes: Path,
    splits_csv: Path,
    pseudolabels: Path,
    metadata_csv: Path | None,
    *,
    scores_out: Path,
    curve_out: Path,
) -> None:
    """Train one arm with every training seed, and write the sums of its probes and its learning curves.

    Pretraining reads images of training and validation patients; labels are opened for the probes only.

    Raises:
        InputError: for missing or unsuitable files, or options that the task does not have.
    """
    prepare_torch(job.seed, job.threads, "ssl", name)
    arm, seeds = job.ssl.frames.list_arms()[name]
    train, val, test = (
        load_probe_frames(volumes, splits_csv, pseudolabels, split, job.ssl.frames, job.classes)
        for split in ("train", "val", "test")
    )
    ask_in_groups(train, [val, test])
    sweeps = FrameSweeps(volumes, splits_csv, arm.group, metadata_csv)
    scores, curves = [], []
    for training_seed in seeds:
        encoder, curve = train_encoder(job, name, arm, sweeps, (train, val), training_seed, scores_out)
        parts = {"train": train, "val": val, "test": test}
        features = {split: embed(part, arm.features, encoder) for split, part in parts.items()}
        found = probe_all(train, val, test, features, job.ssl.probe, job.seed, shuffled=arm.is_control)
        scores.append(found.assign(arm=name, training_seed=training_seed))
        watched = collapse(pool(val, encoder) if arm.features == ENCODER else None)
        curves.append(
            curve.assign(
                arm=name, training_seed=training_seed, **{f"probe_{k}": v for k, v in watched.items()}
            )
        )
    table = pd.concat(scores, ignore_index=True)
    for column in ("won", "validation"):
        table[column] = [f"{value:.6g}" for value in table[column]]
    write_packed_csv(scores_out, table)
    write_csv(curve_out, pd.concat(curves, ignore_index=True))


def train_encoder(
    job: Any,
    name: str,
    arm: Arm,
    sweeps: SweepImages,
    frames: tuple[ProbeFrames, ProbeFrames],
    training_seed: int,
    output: Path,
) -> tuple[FrameResNet, pd.DataFrame]:
    """The encoder of an arm after its task, and the learning curve (one row without a task).

    Args:
        frames: of training and of validation patients, for the arm that is taught the labels.
        output: resume files lie beside it.
    """
    settings, seed = job.ssl.frames, derive_training(job.seed, training_seed)
    encoder = build_frame_resnet(settings.widths, seed).to(torch_device(job.device))
    if arm.task is None:
        return encoder.eval(), pd.DataFrame({"step": [0]})
    batch = arm.batch or settings.schedule.batch_size
    steps = settings.schedule.steps * settings.schedule.batch_size // batch
    changes = {
        "batch_size": 1,
        "steps": steps,
        "evaluate_every": min(settings.schedule.evaluate_every, steps),
    }
    schedule = settings.schedule.model_copy(update=changes)
    task: Any
    if arm.task in TAUGHT:
        train, val = frames
        if arm.task == LABELS_SHUFFLED:
            train = train.shuffle_masks(rng(job.seed, "ssl", "shuffled masks"))
        task = Supervised(encoder, sum(settings.widths), train, val, batch, settings.supervised_rate, seed)
    else:
        kind = find_pretext(arm.task)
        values = overlay(job.ssl.tasks[arm.task], arm.options) | {"images": batch}
        options = read_options(kind, values, f"params/ssl.yaml, ssl.frames.arms.{name}.options")
        task = kind(_describe(job, schedule), options, encoder, sweeps, seed)
    facts = [name, training_seed, sweeps.splits_sha256, sweeps.describe()]
    resume = engine.ResumeFile(output.with_name(f"{name}_{training_seed}"), engine.fingerprint(job, *facts))
    progress = engine.run(
        task,
        schedule,
        seeds=(seed, "pretrain", arm.task),
        resume=resume,
        precision=job.precision,
        title=f"{name}, seed {training_seed}",
    )
    resume.remove()
    return encoder, pd.DataFrame(progress.curve, columns=["step", "learning_rate", *task.columns])


def _describe(job: Any, schedule: Any) -> SimpleNamespace:
    """What a pretext task reads of a job, for this encoder."""
    settings = job.ssl.frames
    return SimpleNamespace(
        seed=job.seed,
        device=job.device,
        model=SimpleNamespace(prompt_dim=settings.widths[-1], image_size=settings.size),
        pretrain=SimpleNamespace(schedule=schedule),
    )


@torch.no_grad()
def embed(frames: ProbeFrames, kind: str, encoder: FrameResNet) -> np.ndarray:
    """Features of the probed cells, (n, places, c) float64, of a kind (see `Arm`)."""
    if kind == PLACE:
        place = frames.pick_places(place_terms(frames.grid)[None])
        return np.repeat(place, len(frames.images), axis=0).astype(np.float64)
    device = next(encoder.parameters()).device
    parts = [
        frames.pick_places(
            stack_stages(encoder, part.to(device), frames.grid).float().cpu()
            if kind == ENCODER
            else grey_values(part, frames.grid)
        )
        for part in frames.images.split(_CHUNK)
    ]
    return np.concatenate(parts).astype(np.float64)


@torch.no_grad()
def pool(frames: ProbeFrames, encoder: nn.Module) -> Tensor:
    """The encoder's output of frames, mean over its grid: (n, c) float32."""
    device = next(encoder.parameters()).device
    parts = [pool_grid(encoder(part.to(device))).cpu() for part in frames.images.split(_CHUNK)]
    return torch.cat(parts).float()
