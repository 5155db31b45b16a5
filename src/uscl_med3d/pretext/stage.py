"""The stage `pretrain`: one pretext task teaches the encoder's LoRA layers on unlabelled sweeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from uscl_med3d.core.io import sha256, write_csv
from uscl_med3d.core.seeds import derive_training, prepare_torch
from uscl_med3d.methods.base import torch_device
from uscl_med3d.nets.lora import add_lora, freeze_all_but_lora, lora_alpha, lora_state, save_lora
from uscl_med3d.nets.sam_med3d import SamMed3DConfig, build_sam_med3d, load_checkpoint
from uscl_med3d.pretext import find_pretext, read_options
from uscl_med3d.selfsupervised.sweeps import SweepImages
from uscl_med3d.train import engine


def pretrain(
    job: Any,
    rank: int,
    training_seed: int,
    sweeps: SweepImages,
    base_weights: Path,
    *,
    out_weights: Path,
    curve_csv: Path,
) -> None:
    """Train the encoder's LoRA layers of one rank by the job's pretext task; write them and the learning curve.

    Reads images of training patients (to learn) and of validation patients (to measure); no label and no test patient
    is opened. Progress is kept beside `out_weights` (suffix `.resume`), so a killed run goes on where it was and ends
    with the same bytes.

    Args:
        job: job file of the stage; `job.pretrain.tasks` names one task.
        training_seed: which repetition; all that is random in the training depends on it, but not what is measured.
        base_weights: SAM-Med3D checkpoint, which stays frozen.
        out_weights: safetensors of the encoder's A and B. curve_csv: one row per measurement.

    Raises:
        InputError: unusable input. FloatingPointError: the loss is not finite.
    """
    prepare_torch(job.seed, job.threads, "pretrain")
    settings, seed = job.pretrain, derive_training(job.seed, training_seed)
    ((name, values),) = settings.tasks.items()
    kind = find_pretext(name)
    options = read_options(kind, values, f"params.yaml, pretrain.tasks.{name}")
    model = build_sam_med3d(SamMed3DConfig(**job.model.model_dump()))
    load_checkpoint(model, base_weights)
    alpha = lora_alpha(settings.alpha_rule, rank)
    add_lora(model, "encoder", rank, alpha, settings.dropout, seed, layers=settings.layers)
    freeze_all_but_lora(model, "encoder")
    model.to(torch_device(job.device))
    if model.preprocessing == "official":  # tasks see (d, h, w), the weights (x, y, z)
        model.image_encoder.register_forward_pre_hook(lambda _, crops: (model.turn(crops[0]),))
        model.image_encoder.register_forward_hook(lambda _, __, embedding: model.turn(embedding))
    base_sha256 = sha256(base_weights)
    task = kind(job, options, model.image_encoder, sweeps, seed)
    facts = [rank, training_seed, base_sha256, sweeps.splits_sha256, sweeps.describe()]
    resume = engine.ResumeFile(Path(out_weights), engine.fingerprint(job, *facts))
    progress = engine.run(
        task,
        settings.schedule,
        seeds=(seed, "pretrain", name),
        resume=resume,
        precision=job.precision,
        title=f"pretrain {name} r{rank}",
    )
    write_csv(curve_csv, pd.DataFrame(progress.curve, columns=["step", "learning_rate", *task.columns]))
    save_lora(out_weights, lora_state(model, "encoder"), rank, alpha, base_sha256)
    resume.remove()
