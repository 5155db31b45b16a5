"""The one training loop. What is trained, and on what, is a `Task`; everything else happens here.

The engine owns the learning-rate schedule, mixed precision, clipping, random seeds, the learning curve, early stop,
the choice of the kept weights, and resuming. Every random number of step n comes from a stream named by n, so a run
that was interrupted and resumed gives the same bytes as one that was not.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from uscl_med3d.core.io import atomic, remove
from uscl_med3d.core.params.schedule import Schedule
from uscl_med3d.core.seeds import Seeds, derive


@dataclass(frozen=True)
class Group:
    """Parameters with one highest learning rate."""

    parameters: Sequence[nn.Parameter]
    rate: float


class Task(ABC):
    """Something to train.

    Attributes:
        network: is put into training mode before `loss` and into evaluation mode before `evaluate`.
        metric: the column of `evaluate` that says which weights are best (higher is better); None: there is none.
        evaluate_first: whether the learning curve begins with a row before the first step.
    """

    network: nn.Module
    metric: ClassVar[str | None] = None
    evaluate_first: ClassVar[bool] = False

    @abstractmethod
    def groups(self) -> list[Group]:
        """What is optimised, always in the same order."""

    @abstractmethod
    def loss(self, step: int) -> Mapping[str, Tensor]:
        """Scalar losses of one step (from 0); the one named `loss` is minimised, all enter the learning curve."""

    @abstractmethod
    def evaluate(self) -> Mapping[str, float]:
        """Columns of the learning curve, on what is kept apart from training; NaN where there is nothing."""

    def state(self) -> dict[str, Tensor]:
        """Every tensor that training changes, by name (copies)."""
        return {
            name: value.detach().to("cpu", copy=True) for name, value in self.network.state_dict().items()
        }

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `state` returned."""
        self.network.load_state_dict(dict(tensors), strict=True)


@dataclass
class Progress:
    """Everything that changes while training beside the task's own state; it is written to the resume file."""

    step: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    recent: list[dict[str, float]] = field(default_factory=list)
    best: float = -math.inf
    best_step: int = 0
    rows_since_best: int = 0
    best_state: dict[str, Tensor] | None = None


class ResumeFile:
    """The state of an unfinished training, and what it must belong to.

    A file that is damaged or belongs to something else only costs the time that it would have saved.

    Args:
        output: the file that the training makes in the end; the resume file lies beside it (`<output>.resume`).
        fingerprint: see `fingerprint`.
    """

    def __init__(self, output: Path, fingerprint: str) -> None:
        self.path, self.fingerprint = output.with_name(output.name + ".resume"), fingerprint

    def write(self, content: dict[str, Any]) -> None:
        """Replace the file."""
        with atomic(self.path) as temporary:
            torch.save({"fingerprint": self.fingerprint, **content}, temporary)

    def read(self) -> dict[str, Any] | None:
        """What `write` got, if it belongs to the same training."""
        if not self.path.is_file():
            return None
        try:
            content: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:
            print(f"{self.path} cannot be read ({error}): starting from step 0", file=sys.stderr)
            return None
        if content.get("fingerprint") != self.fingerprint:
            print(f"{self.path} belongs to other inputs: starting from step 0", file=sys.stderr)
            return None
        return content

    def remove(self) -> None:
        """Forget it, once the outputs are written."""
        remove(self.path)


def fingerprint(job: Any, *facts: Any) -> str:
    """What an unfinished training must belong to: the job, facts about its inputs (hashes), the version of torch."""
    content = [job.model_dump(mode="json"), list(facts), torch.__version__]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def run(
    task: Task, schedule: Schedule, *, seeds: Seeds, resume: ResumeFile, precision: str, title: str
) -> Progress:
    """Train to the last step, or until early stop; afterwards the task holds the weights that `schedule.keep` names.

    Args:
        task: what to train. schedule: numbers of the training. seeds: master seed and names of this training's streams.
        resume: where to keep an unfinished training; `resume.remove()` is the caller's, after the outputs are written.
        precision: float32, or bfloat16 for mixed precision. title: of the progress bar.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    return _Training(task, schedule, seeds, resume, precision).run(title)


class _Training:
    def __init__(
        self, task: Task, schedule: Schedule, seeds: Seeds, resume: ResumeFile, precision: str
    ) -> None:
        self.task, self.schedule, self.seeds, self.resume_file = task, schedule, seeds, resume
        self.precision = precision
        groups = task.groups()
        self.rates = [group.rate for group in groups]
        self.parameters = [value for group in groups for value in group.parameters]
        self.optimizer = torch.optim.AdamW(
            [{"params": list(group.parameters), "lr": group.rate} for group in groups],
            weight_decay=schedule.weight_decay,
            fused=True,
        )
        self.progress = Progress()

    def run(self, title: str) -> Progress:
        from tqdm import trange

        self._resume()
        progress, schedule = self.progress, self.schedule
        if progress.step == 0 and self.task.evaluate_first and not progress.curve:
            self._record()
        bar = trange(
            progress.step,
            schedule.steps,
            desc=title,
            initial=progress.step,
            total=schedule.steps,
            mininterval=5,
            file=sys.stderr,
            unit="step",
        )
        for step in bar:
            if self._out_of_patience():
                break
            self._step(step)
            progress.step = step + 1
            if progress.step % schedule.evaluate_every == 0 or progress.step == schedule.steps:
                self._record()
                bar.set_postfix(loss=f"{progress.curve[-1]['loss']:.3f}", refresh=False)
            # After the last step too: a stage behind this one may still be interrupted.
            if progress.step % schedule.resume_every == 0 or progress.step == schedule.steps:
                self._keep_resume_file()
        if schedule.keep == "best" and progress.best_state is not None:
            self.task.load_state(progress.best_state)
        self.task.network.eval()
        return progress

    def _step(self, step: int) -> None:
        for group, highest in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = scheduled_rate(step, self.schedule, highest)
        # Dropout draws from the global generator: one stream per step, so that a resumed run repeats it.
        torch.manual_seed(derive(*self.seeds, "dropout", step))
        self.task.network.train()
        device = self.parameters[0].device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.precision == "bfloat16"):
            losses = self.task.loss(step)
        if not torch.isfinite(losses["loss"]):
            raise FloatingPointError(
                f"the loss is {losses['loss'].item()} at step {step}: lower the learning rate"
            )
        self.optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        nn.utils.clip_grad_norm_(self.parameters, self.schedule.gradient_norm)
        self.optimizer.step()
        self.progress.recent.append({name: float(value.detach()) for name, value in losses.items()})

    def _record(self) -> None:
        """One row of the learning curve: mean losses since the last row, and the task's own measurements."""
        progress, task = self.progress, self.task
        recent, step = progress.recent, progress.step
        names = list(recent[0]) if recent else ["loss"]
        means = {
            name: float(np.mean([row[name] for row in recent])) if recent else math.nan for name in names
        }
        task.network.eval()
        with torch.no_grad():
            measured = dict(task.evaluate())
        rate = scheduled_rate(step - 1, self.schedule, self.rates[0]) if step else math.nan
        progress.curve.append({"step": step, "learning_rate": rate, **means, **measured})
        progress.recent = []
        if task.metric is not None and measured[task.metric] > progress.best:
            progress.best, progress.best_step, progress.rows_since_best = measured[task.metric], step, 0
            progress.best_state = task.state() if self.schedule.keep == "best" else None
        else:
            progress.rows_since_best += 1

    def _out_of_patience(self) -> bool:
        patience = self.schedule.patience
        return (
            patience is not None and self.task.metric is not None and self.progress.rows_since_best > patience
        )

    def _keep_resume_file(self) -> None:
        self.resume_file.write(
            {
                "state": self.task.state(),
                "optimizer": self.optimizer.state_dict(),
                "progress": vars(self.progress),
            }
        )

    def _resume(self) -> None:
        content = self.resume_file.read()
        if content is None:
            return
        self.task.load_state(content["state"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.progress = Progress(**content["progress"])


def scheduled_rate(step: int, schedule: Schedule, highest: float) -> float:
    """Linear warm-up, then half a cosine down to `final_learning_rate` times the highest rate."""
    if step < schedule.warmup_steps:
        return highest * (step + 1) / schedule.warmup_steps
    share = (step - schedule.warmup_steps) / max(1, schedule.steps - schedule.warmup_steps)
    low = schedule.final_learning_rate
    return highest * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * share)))
