"""The stage `pretrain`: contextual-position learning of the encoder's LoRA layers on unlabelled sweeps."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import atomic, sha256, write_csv
from uscl_med3d.core.params.pretrain import Pretrain
from uscl_med3d.core.seeds import derive, derive_training, prepare_torch, rng, torch_generator
from uscl_med3d.nets.lora import add_lora, freeze_all_but_lora, lora_alpha, lora_state, save_lora
from uscl_med3d.nets.sam_med3d import SamMed3DConfig, build_sam_med3d, load_checkpoint
from uscl_med3d.nets.vcl_head import VclHead
from uscl_med3d.train.vcl import Batch, Teacher, VclNet, compute_terms
from uscl_med3d.train.vcl_crops import augment, draw_crops
from uscl_med3d.train.vcl_losses import Terms, constant_prediction_loss
from uscl_med3d.train.vcl_sweeps import SweepImages


def pretrain(
    job: Any,
    rank: int,
    training_seed: int,
    volumes_dir: str | Path,
    splits_csv: str | Path,
    base_weights: str | Path,
    out_weights: str | Path,
    curve_csv: str | Path,
) -> None:
    """Train the encoder's LoRA layers of one rank; write them and the learning curve.

    Reads `image.nii.gz` of training patients (to learn) and of validation patients (to measure); no label and
    no test patient is opened. Progress is kept beside `out_weights` (suffix `.resume`), so a killed run goes
    on where it was and ends with the same bytes.

    Args:
        job: job file of the stage (seed, threads, device, precision, model, pretrain).
        rank: LoRA rank r.
        training_seed: which repetition; all that is random in the training depends on it, but not the crops of
            validation patients.
        volumes_dir: folder with one folder per sweep.
        splits_csv: split manifest.
        base_weights: SAM-Med3D checkpoint, which stays frozen.
        out_weights: safetensors of the encoder's A and B.
        curve_csv: one row per validation, see docs/vcl.md.

    Raises:
        InputError: unusable input, or no training sweep.
        FloatingPointError: the loss is not finite.
    """
    prepare_torch(job.seed, job.threads, "pretrain")
    sweeps = SweepImages(volumes_dir, splits_csv)
    trainer = Trainer(job, rank, training_seed, sweeps, Path(base_weights), Path(out_weights))
    trainer.run()
    tensors = lora_state(trainer.model, "encoder")
    write_csv(curve_csv, pd.DataFrame(trainer.rows))
    save_lora(out_weights, tensors, rank, trainer.alpha, trainer.base_sha256)
    trainer.resume_file.unlink(missing_ok=True)


class Trainer:
    """State of one run; `run` trains on from the last checkpoint, or from the start."""

    def __init__(
        self, job: Any, rank: int, training_seed: int, sweeps: SweepImages, base: Path, out: Path
    ) -> None:
        self.job, self.rank, self.sweeps = job, rank, sweeps
        self.seed = derive_training(job.seed, training_seed)
        self.settings: Pretrain = job.pretrain
        self.device = _find_device(job.device)
        self.alpha, self.base_sha256 = lora_alpha(self.settings.alpha_rule, rank), sha256(base)
        self.resume_file = out.with_suffix(".resume")
        self._build(base)
        self.step = 0
        self.rows: list[dict[str, Any]] = []
        self.pending: list[list[float]] = []

    def _build(self, base: Path) -> None:
        settings, seed = self.settings, self.seed
        config = SamMed3DConfig(**self.job.model.model_dump())
        self.model = build_sam_med3d(config)
        load_checkpoint(self.model, base)
        add_lora(self.model, "encoder", self.rank, self.alpha, settings.dropout, seed)
        freeze_all_but_lora(self.model, "encoder")
        head = VclHead(
            settings.head,
            config.prompt_dim,
            settings.head_hidden_dim,
            settings.head_dim,
            settings.head_components,
            torch_generator(seed, "pretrain", "head"),
        )
        self.student = VclNet(self.model.image_encoder, head).to(self.device)
        self._whiten()
        self.teacher = Teacher(self.student, settings.momentum)
        self.trained = [value for value in self.student.parameters() if value.requires_grad]
        adapters = [value for value in self.student.encoder.parameters() if value.requires_grad]
        groups = [
            {"params": adapters, "peak": settings.learning_rate},
            {"params": list(head.parameters()), "peak": settings.head_learning_rate},
        ]
        self.optimiser = torch.optim.AdamW(
            groups, lr=settings.learning_rate, weight_decay=settings.weight_decay
        )

    @torch.no_grad()
    def _whiten(self) -> None:
        """Start the head from the base encoder's features of training crops (new adapters change nothing)."""
        settings, sweeps = self.settings, self.sweeps.train
        chosen = rng(self.seed, "pretrain", "whitening").permutation(len(sweeps))
        features = []
        for index in chosen[: settings.whitening_sweeps]:
            stream = rng(self.seed, "pretrain", "whitening", sweeps[index])
            random, base, _ = self._draw(sweeps[index], settings.random_crops, stream)
            features.append(self.student.pool(torch.cat([random, base])))
        self.student.head.whiten(torch.cat(features))

    # ------------------------------------------------------------------------------------------ training
    def run(self) -> None:
        """Train up to `steps`, measuring and saving on the way."""
        from tqdm import trange

        settings = self.settings
        self._resume()
        if self.step == 0:
            self._record()
        bar = trange(self.step, settings.steps, initial=self.step, total=settings.steps, unit="step",
                     desc=f"pretrain r{self.rank}", mininterval=5, file=sys.stderr)  # fmt: skip
        for _ in bar:
            losses = self._train_step()
            self.pending.append(losses)
            self.step += 1
            if self.step % settings.validate_every == 0 or self.step == settings.steps:
                self._record()
            if self.step % settings.checkpoint_every == 0 and self.step < settings.steps:
                self._save()
            bar.set_postfix_str(f"loss {losses[0]:.3f}", refresh=False)

    def _train_step(self) -> list[float]:
        settings = self.settings
        # Dropout draws from the global generator: one stream per step, so that a resumed run repeats it.
        torch.manual_seed(derive(self.seed, "pretrain", "dropout", self.step))
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, group["peak"], settings.warmup_steps, settings.steps)
        self.student.train()
        terms = self._terms(self._training_batch(self.step), update=True)
        if not torch.isfinite(terms.total):
            raise FloatingPointError(
                f"the loss is {terms.total.item()} at step {self.step}; lower pretrain.learning_rate"
            )
        self.optimiser.zero_grad(set_to_none=True)
        terms.total.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, settings.gradient_norm)
        self.optimiser.step()
        return [terms.total.item(), terms.prediction.item(), terms.regularisation.item()]

    def _terms(self, batch: Batch, update: bool) -> Terms:
        reduced = self.job.precision == "bfloat16" and self.device.type == "cuda"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=reduced):
            settings = self.settings
            return compute_terms(
                self.student, self.teacher, batch, settings.form, settings.log_margin, update
            )

    def _training_batch(self, step: int) -> Batch:
        """Crops of the step's sweeps; every sweep once per epoch, in an order of the epoch's own."""
        settings, seed, sweeps = self.settings, self.seed, self.sweeps.train
        parts = []
        for position in range(step * settings.batch_size, (step + 1) * settings.batch_size):
            epoch, place = divmod(position, len(sweeps))
            sweep = sweeps[rng(seed, "pretrain", "order", epoch).permutation(len(sweeps))[place]]
            stream = rng(seed, "pretrain", "crops", position, sweep)
            random, base, labels = self._draw(sweep, settings.random_crops, stream)
            changed = augment(torch.cat([random, base]), stream, **settings.augmentation.model_dump())
            parts.append((changed[: len(random)], changed[len(random) :], labels))
        return Batch(*(torch.stack(part) for part in zip(*parts, strict=True)))

    def _draw(self, sweep: str, count: int, stream: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        settings, size = self.settings, self.job.model.image_size
        volume = self.sweeps.load(sweep).to(self.device)
        try:
            random, base, labels = draw_crops(volume, settings.base_grid, count, size, stream)
        except ValueError as error:
            raise InputError(
                file=self.sweeps.path(sweep),
                found=str(error),
                expected="at least one voxel per base crop on each axis",
                remedy="remove the sweep from cohort.csv, or choose another pretrain.base_grid",
            ) from error
        return random, base, labels.to(self.device)

    # ------------------------------------------------------------------------------------------ measuring
    def _record(self) -> None:
        """One row of the curve: training losses since the last row, and the task on validation patients."""
        row: dict[str, Any] = {"step": self.step, "learning_rate": self.optimiser.param_groups[0]["lr"]}
        if self.step == 0:
            row["learning_rate"] = math.nan
        means = np.mean(self.pending, 0).tolist() if self.pending else [math.nan] * 3
        row |= dict(zip(("loss", "prediction_loss", "regularisation_loss"), means, strict=True))
        self.pending = []
        self.rows.append(row | self._validate())

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        """Losses and accuracy on fixed crops without augmentation; NaN without validation patients."""
        names = (
            "loss",
            "prediction_loss",
            "regularisation_loss",
            "accuracy",
            "constant_prediction_loss",
            "chance",
        )
        self.student.eval()
        losses, labels, logits = [], [], []
        for batch in self._validation_batches():
            terms = self._terms(batch, update=False)
            losses.append([terms.total.item(), terms.prediction.item(), terms.regularisation.item()])
            labels.append(batch.labels.cpu())
            logits.append(terms.logits.cpu())
        if not losses:
            return {f"validation_{name}": math.nan for name in names}
        label, logit = torch.cat(labels), torch.cat(logits)
        wanted = label.argmax(-1)
        accuracy = (logit.argmax(-1) == wanted).double().mean().item()
        chance = wanted.flatten().bincount().max().item() / wanted.numel()
        constant = constant_prediction_loss(self.settings.form, label, self.settings.log_margin)
        values = [*np.mean(losses, 0).tolist(), accuracy, constant, chance]
        return {f"validation_{name}": value for name, value in zip(names, values, strict=True)}

    def _validation_batches(self) -> Iterator[Batch]:
        for sweep in self.sweeps.validation:
            stream = rng(self.job.seed, "pretrain", "validation", sweep)
            yield Batch(*(part[None] for part in self._draw(sweep, self.settings.validation_crops, stream)))

    # ------------------------------------------------------------------------------------------ resuming
    def _fingerprint(self) -> str:
        """What a checkpoint belongs to; a checkpoint of anything else is ignored."""
        known = [self.job.model_dump(mode="json"), self.rank, self.base_sha256, self.sweeps.splits_sha256]
        return json.dumps([*known, self.sweeps.describe()], sort_keys=True)

    def _save(self) -> None:
        state = {
            "fingerprint": self._fingerprint(),
            "step": self.step,
            "rows": self.rows,
            "pending": self.pending,
            "student": [value.detach() for value in self.trained],
            "teacher": self.teacher.tensors,
            "optimiser": self.optimiser.state_dict(),
        }
        with atomic(self.resume_file) as temporary:
            torch.save(state, temporary)

    def _resume(self) -> None:
        if not self.resume_file.is_file():
            return
        try:
            state = torch.load(self.resume_file, map_location=self.device, weights_only=True)
        except Exception as error:
            print(f"{self.resume_file} cannot be read ({error}): starting from step 0", file=sys.stderr)
            return
        if state["fingerprint"] != self._fingerprint():
            print(f"{self.resume_file} belongs to other inputs: starting from step 0", file=sys.stderr)
            return
        self.step, self.rows, self.pending = state["step"], state["rows"], state["pending"]
        with torch.no_grad():
            for value, stored in zip(self.trained, state["student"], strict=True):
                value.copy_(stored)
        for name, tensor in self.teacher.tensors.items():
            tensor.copy_(state["teacher"][name])
        self.optimiser.load_state_dict(state["optimiser"])


def learning_rate(step: int, peak: float, warmup_steps: int, steps: int) -> float:
    """Linear warm-up over `warmup_steps`, then half a cosine to zero at `steps`."""
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / max(steps - warmup_steps, 1)))


def _find_device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(
            file="params.yaml",
            found="device: cuda",
            expected="a machine with a CUDA device, and a torch build for it",
            remedy="set device: cpu, or install torch for CUDA",
        )
    return torch.device(name)
