"""Fine-tuning of one run on the pseudo-labelled sweeps of training patients."""

from __future__ import annotations

import hashlib
import json
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import sha256, write_csv, write_json
from uscl_med3d.core.seeds import Seeds, prepare_torch, rng
from uscl_med3d.data.sweeps import load_pseudolabelled, load_sweep, read_splits
from uscl_med3d.methods.base import ClickMethod, Method
from uscl_med3d.methods.registry import find_method
from uscl_med3d.train.crops import CropSource, draw_balanced, draw_crop_list
from uscl_med3d.train.loop import ClickTrainer, Example, Progress, Trainer
from uscl_med3d.train.validation import choose_validation_crops, validate

CURVE_COLUMNS = ["step", "loss", "learning_rate", "validation_dice"]


def finetune(
    job: Any, volumes_dir: Path, splits_csv: Path, pseudolabels_dir: Path, base_weights: Path | None,
    vcl_weights: Path | None, out_weights: Path, curve_csv: Path, info_json: Path, cost_json: Path,
) -> None:  # fmt: skip
    """Train the run of `job` and write its weights, learning curve, facts and cost.

    The training set is every pseudo-labelled class of every accepted frame of the training patients' sweeps;
    rejected frames (255) are ignored by the loss and get no clicks. Methods with clicks learn from crops and
    simulated clicks, methods without prompts from patches and all classes at once. Validation uses the
    annotated key frames of validation patients. An interrupted run goes on from `<out_weights>.resume`.

    Raises:
        InputError: for missing or unsuitable files, or a training set without any target.
    """
    begun = time.perf_counter()
    out_weights = Path(out_weights)
    seeds = (job.seed, "finetune", job.run.training_seed)
    prepare_torch(job.seed, job.threads, "finetune", job.run.id)
    method = find_method(job.run.method).load(job, base_weights, None, vcl_weights)
    parameters = method.prepare_training()
    splits = read_splits(splits_csv)
    trainer_class, training = _choose_training(job, volumes_dir, pseudolabels_dir, splits, seeds, method)
    trainer = trainer_class(
        method, parameters, training.schedule, method.read_options(job).learning_rate,
        training.draw, training.validate, seeds, out_weights.with_name(out_weights.name + ".resume"),
        _fingerprint(job, base_weights, vcl_weights, pseudolabels_dir), job.precision,
    )  # fmt: skip
    prepared = time.perf_counter()
    progress = trainer.run(job.run.id)
    trained = time.perf_counter()
    method.save(out_weights)
    write_csv(curve_csv, pd.DataFrame(progress.curve, columns=CURVE_COLUMNS))
    write_json(info_json, _facts(job, method, parameters, progress, training))
    write_json(cost_json, _costs(job, training.schedule, trained - prepared, time.perf_counter() - begun))
    trainer.finish()


def _choose_training(
    job: Any, volumes_dir: Path, pseudolabels_dir: Path, splits: pd.DataFrame, seeds: Seeds, method: Method
) -> tuple[type[Trainer], Any]:
    """How a kind of method is trained, and on what."""
    if isinstance(method, ClickMethod):
        return ClickTrainer, _ClickTraining(job, volumes_dir, pseudolabels_dir, splits, seeds, method)
    if method.prompt == "none":
        from uscl_med3d.methods.unet import UNetMethod
        from uscl_med3d.train.segmentation import PatchTrainer, PatchTraining

        assert isinstance(method, UNetMethod)  # the only kind of method without prompts that is trained
        return PatchTrainer, PatchTraining(job, volumes_dir, pseudolabels_dir, splits, seeds, method)
    raise InputError(
        file=f"params.yaml, methods.{job.run.method}", found=f"trained: true with prompt: {method.prompt}",
        expected="prompt clicks or none for a method that is fine-tuned", remedy="set trained: false",
    )  # fmt: skip


class _ClickTraining:
    """Crops of the training and validation patients of one run."""

    def __init__(
        self,
        job: Any,
        volumes_dir: Path,
        pseudolabels_dir: Path,
        splits: pd.DataFrame,
        seeds: Seeds,
        method: ClickMethod,
    ) -> None:
        schedule, size = job.finetune, job.model.image_size
        self.job, self.seeds, self.method, self.schedule = job, seeds, method, schedule

        def load_training(sweep: str) -> tuple[np.ndarray, np.ndarray]:
            return load_pseudolabelled(volumes_dir, pseudolabels_dir, sweep)

        def load_annotated(sweep: str) -> tuple[np.ndarray, np.ndarray]:
            loaded = load_sweep(volumes_dir, sweep)
            return loaded.image, loaded.key_frames

        train = splits.loc[splits["split"] == "train", "sweep"]
        labelled = [sweep for sweep in train if (Path(pseudolabels_dir) / f"{sweep}.nii.gz").is_file()]
        self.source = CropSource(load_training, size, schedule.cached_cases)
        targets = self.source.find_targets(labelled, job.classes, schedule.min_target_voxels)
        if not targets:
            raise InputError(
                file=pseudolabels_dir,
                found=f"{len(labelled)} pseudo-labelled sweep(s) of training patients, none with "
                f"{schedule.min_target_voxels} voxels of a class",
                expected="at least one accepted target to train on",
                remedy="annotate key frames of training patients, or relax the gate of `pseudolabel`",
            )  # fmt: skip
        self.crops = draw_crop_list(self.source, targets, schedule.crops_per_target, *seeds)
        self.groups: dict[str, list[int]] = {}
        for index, crop in enumerate(self.crops):
            self.groups.setdefault(crop.target.name, []).append(index)
        self.validation_source = CropSource(load_annotated, size, schedule.cached_cases)
        held_back = self.validation_source.find_targets(
            list(splits.loc[splits["split"] == "val", "sweep"]), job.classes, 1
        )
        self.validation_crops = choose_validation_crops(
            self.validation_source, held_back, schedule.validation_targets, job.seed, "finetune"
        )
        self.embeddings = self._embed_all() if method.embeds_once else None

    def draw(self, step: int) -> Example:
        """The examples of one step: the same for every run of this training seed."""
        random = rng(self.seeds[0], *self.seeds[1:], "batch", step)
        chosen = draw_balanced(self.groups, self.job.finetune.batch_size, random)
        batch = self.source.cut_batch([self.crops[index] for index in chosen])
        return Example(batch, None if self.embeddings is None else self.embeddings[chosen])

    def validate(self) -> float:
        """Mean validation Dice of the present weights."""
        schedule = self.job.finetune
        return validate(
            self.method, self.validation_source, self.validation_crops, schedule.validation_clicks,
            schedule.click_simulator, schedule.batch_size, (self.job.seed, "finetune"),
        )  # fmt: skip

    def describe(self) -> dict[str, Any]:
        """Facts for the record."""
        return {
            "steps": self.schedule.steps,
            "batch_size": self.schedule.batch_size,
            "clicks": self.schedule.clicks,
            "crops": len(self.crops),
            "targets": len({crop.target for crop in self.crops}),
            "sweeps": len({crop.target.case for crop in self.crops}),
            "embeddings_computed_once": self.method.embeds_once,
        }

    def _embed_all(self) -> Tensor:
        """Embeddings of all crops by the frozen encoder, once."""
        size, parts = self.job.finetune.batch_size, []
        self.method.network.eval()
        with torch.no_grad():
            for start in range(0, len(self.crops), size):
                batch = self.source.cut_batch(self.crops[start : start + size])
                parts.append(self.method.embed(torch.from_numpy(batch.images)))
        return torch.cat(parts)


def _fingerprint(
    job: Any, base_weights: Path | None, vcl_weights: Path | None, pseudolabels_dir: Path
) -> str:
    """What an unfinished training must belong to: the job, its weights, its labels."""
    labels = {path.name: sha256(path) for path in sorted(Path(pseudolabels_dir).glob("*.nii.gz"))}
    content = [
        job.model_dump(mode="json"), *(sha256(path) if path else None for path in (base_weights, vcl_weights)),
        labels, torch.__version__,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _facts(
    job: Any, method: Method, parameters: Sequence[torch.nn.Parameter], progress: Progress, training: Any
) -> dict[str, Any]:
    """Facts that are the same in every repetition."""
    kept = progress.best_step if progress.best_state is not None else training.schedule.steps
    return {
        "run": job.run.id,
        "method": job.run.method,
        "trainable_parameters": sum(value.numel() for value in parameters),
        "total_parameters": sum(value.numel() for value in method.network.parameters()),
        "learning_rate": method.read_options(job).learning_rate,
        "kept_step": kept,
        **training.describe(),
        **method.describe(),
    }


def _costs(job: Any, schedule: Any, training_seconds: float, total_seconds: float) -> dict[str, Any]:
    """What this repetition cost on this machine; never part of a hashed output."""
    on_gpu = job.device == "cuda"
    return {
        "run": job.run.id,
        "training_seconds": round(training_seconds, 2),
        "total_seconds": round(total_seconds, 2),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "peak_gpu_memory_mb": round(torch.cuda.max_memory_allocated() / 2**20, 1) if on_gpu else None,
        "batch_size": schedule.batch_size,
        "device": job.device,
        "threads": job.threads,
        "torch": torch.__version__,
    }
