"""Fine-tuning of one run on the pseudo-labelled sweeps of training patients."""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from uscl_med3d.core.io import sha256, write_csv, write_json
from uscl_med3d.core.seeds import prepare_torch
from uscl_med3d.methods.base import Method, Weights
from uscl_med3d.methods.registry import find_method
from uscl_med3d.train import engine
from uscl_med3d.train.sweeps import LabelledSweeps
from uscl_med3d.train.tasks import make_task
from uscl_med3d.train.tasks.fits import Fit

CURVE_COLUMNS = ["step", "loss", "learning_rate", "validation_dice"]


def finetune(
    job: Any,
    sweeps: LabelledSweeps,
    weights: Weights,
    *,
    out_weights: Path,
    curve_csv: Path,
    info_json: Path,
    cost_json: Path,
) -> None:
    """Train the run of `job` and write its weights, learning curve, facts and cost.

    The training set is every pseudo-labelled class of every accepted frame of the training patients' sweeps;
    rejected frames (255) are ignored by the loss and get no clicks. How a method learns follows from what it works
    on (`train/tasks/`). Validation uses the annotated key frames of validation patients. An interrupted run goes on
    from `<out_weights>.resume`.

    Raises:
        InputError: for missing or unsuitable files, or a training set without any target.
    """
    begun = time.perf_counter()
    prepare_torch(job.seed, job.threads, "finetune", job.run.id)
    method = find_method(job.method.module or job.run.method).load(job, weights)
    task = make_task(job, method, sweeps)
    files = [sha256(path) if path else None for path in (weights.base, weights.start)]
    resume = engine.ResumeFile(Path(out_weights), engine.fingerprint(job, files, sweeps.hashes()))
    prepared = time.perf_counter()
    if isinstance(task, Fit):
        progress, batch_size = task.run(), None
    else:
        batch_size = task.schedule.batch_size
        progress = engine.run(
            task,
            task.schedule,
            seeds=(job.seed, "finetune", job.run.training_seed),
            resume=resume,
            precision=job.precision,
            title=job.run.id,
        )
    trained = time.perf_counter()
    method.save(out_weights)
    write_csv(curve_csv, pd.DataFrame(progress.curve, columns=CURVE_COLUMNS))
    write_json(info_json, _facts(job, method, task.parameters, progress, task))
    write_json(cost_json, _costs(job, batch_size, trained - prepared, time.perf_counter() - begun))
    resume.remove()


def _facts(
    job: Any, method: Method, parameters: Sequence[torch.nn.Parameter], progress: engine.Progress, task: Any
) -> dict[str, Any]:
    """Facts that are the same in every repetition."""
    kept = progress.best_step if progress.best_state is not None else progress.step
    return {
        "run": job.run.id,
        "method": job.run.method,
        "trainable_parameters": sum(value.numel() for value in parameters),
        "total_parameters": sum(value.numel() for value in method.network.parameters()),
        "learning_rate": None if method.fitted else method.learning_rate(),
        "kept_step": kept,
        **task.describe(),
        **method.describe(),
    }


def _costs(job: Any, batch_size: int | None, training_seconds: float, total_seconds: float) -> dict[str, Any]:
    """What this repetition cost on this machine; never part of a hashed output."""
    on_gpu = job.device == "cuda"
    return {
        "run": job.run.id,
        "training_seconds": round(training_seconds, 2),
        "total_seconds": round(total_seconds, 2),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "peak_gpu_memory_mb": round(torch.cuda.max_memory_allocated() / 2**20, 1) if on_gpu else None,
        "batch_size": batch_size,
        "device": job.device,
        "threads": job.threads,
        "torch": torch.__version__,
    }
