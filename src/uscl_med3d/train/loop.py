"""Training, by simulated clicks above all: the same loop for the base model and for every fine-tuned method.

Every random number of step n comes from a stream named by n, so a run that was interrupted and resumed gives
the same weights as one that was not.
"""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uscl_med3d.clicks.simulators import SIMULATORS
from uscl_med3d.core.io import atomic, remove
from uscl_med3d.core.seeds import Seeds, derive, rng
from uscl_med3d.methods.base import ClickMethod, Method
from uscl_med3d.train.crops import IGNORE, Batch
from uscl_med3d.train.losses import dice_cross_entropy


@dataclass(frozen=True)
class Example:
    """What one step trains on; states start from `embedding` if it is known, else from `batch.images`."""

    batch: Batch
    embedding: Tensor | None


@dataclass
class Progress:
    """Everything that changes while training, and is written to the resume file."""

    step: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    best_dice: float = -math.inf
    best_step: int = 0
    best_state: dict[str, Tensor] | None = None
    recent_losses: list[float] = field(default_factory=list)


class Trainer(ABC):
    """Trains the parameters that a method prepared; a subclass says what the loss of a step is.

    Args:
        method: after `prepare_training`. parameters: what to optimise. schedule: numbers of the training
        (a `ClickTraining` or a `SegmentationTraining`).
        learning_rate: the highest one, reached after the warm-up. draw: step -> examples. validate: -> mean
        Dice in 0..100, or NaN when there is nothing to validate on. seeds: master seed and names of this
        training's random streams. resume_path, fingerprint: where to keep the state of an unfinished
        training, and what it must belong to. precision: float32, or bfloat16 for mixed precision.
    """

    def __init__(
        self, method: Method, parameters: list[torch.nn.Parameter], schedule: Any,
        learning_rate: float, draw: Callable[[int], Any], validate: Callable[[], float],
        seeds: Seeds, resume_path: Path, fingerprint: str, precision: str,
    ) -> None:  # fmt: skip
        self.method, self.parameters, self.schedule, self.learning_rate = (
            method,
            parameters,
            schedule,
            learning_rate,
        )
        self.draw, self.validate, self.seeds = draw, validate, seeds
        self.resume_path, self.fingerprint, self.precision = resume_path, fingerprint, precision
        self.optimizer = torch.optim.AdamW(
            parameters, lr=learning_rate, weight_decay=schedule.weight_decay, fused=True
        )
        self.progress = Progress()

    def run(self, title: str) -> Progress:
        """Train to the last step; afterwards the method holds the weights that `schedule.keep` names."""
        from tqdm import trange

        self._resume()
        steps, schedule = self.schedule.steps, self.schedule
        bar = trange(self.progress.step, steps, desc=title, initial=self.progress.step, total=steps,
                     mininterval=5, file=sys.stderr, unit="step")  # fmt: skip
        for step in bar:
            self._step(step)
            self.progress.step = step + 1
            if (step + 1) % schedule.validate_every == 0 or step + 1 == steps:
                self._record(step + 1)
                bar.set_postfix(loss=f"{self.progress.curve[-1]['loss']:.3f}", refresh=False)
            if (step + 1) % schedule.resume_every == 0 and step + 1 < steps:
                self._keep_resume_file()
        if schedule.keep == "best" and self.progress.best_state is not None:
            self.method.load_trained(self.progress.best_state)
        return self.progress

    def finish(self) -> None:
        """Forget the resume file, once the outputs are written."""
        remove(self.resume_path)

    def _step(self, step: int) -> None:
        rate = scheduled_rate(step, self.schedule, self.learning_rate)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        torch.manual_seed(derive(*self.seeds, "dropout", step))
        self.method.network.train()
        example = self.draw(step)
        device = self.parameters[0].device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.precision == "bfloat16"):
            loss = self._loss(example, step)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, self.schedule.gradient_norm)
        self.optimizer.step()
        self.progress.recent_losses.append(float(loss.detach()))

    @abstractmethod
    def _loss(self, example: Any, step: int) -> Tensor:
        """Scalar loss of what `draw` gave for a step."""

    def _record(self, step: int) -> None:
        dice, progress = self.validate(), self.progress
        progress.curve.append(
            {
                "step": step,
                "loss": float(np.mean(progress.recent_losses)),
                "learning_rate": scheduled_rate(step - 1, self.schedule, self.learning_rate),
                "validation_dice": dice,
            }
        )
        progress.recent_losses = []
        if self.schedule.keep == "best" and dice > progress.best_dice:
            progress.best_dice, progress.best_step = dice, step
            progress.best_state = self.method.trained_state()

    def _keep_resume_file(self) -> None:
        content = {
            "fingerprint": self.fingerprint,
            "trained": self.method.trained_state(),
            "optimizer": self.optimizer.state_dict(),
            "progress": vars(self.progress),
        }
        with atomic(self.resume_path) as temporary:
            torch.save(content, temporary)

    def _resume(self) -> None:
        """Go on where an interrupted run of the same job stopped; unreadable or foreign files are ignored."""
        if not self.resume_path.is_file():
            return
        try:
            content: dict[str, Any] = torch.load(self.resume_path, map_location="cpu", weights_only=True)
            if content["fingerprint"] != self.fingerprint:
                return
        except Exception:  # a damaged file only costs the time it would have saved
            return
        self.method.load_trained(content["trained"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.progress = Progress(**content["progress"])


class ClickTrainer(Trainer):
    """Learns from simulated clicks: `draw` gives an `Example`, `schedule` is a `ClickTraining`."""

    method: ClickMethod

    def _loss(self, example: Example, step: int) -> Tensor:
        """Mean of the loss after each click, over the clicks that are drawn to be learned from in this step.

        The others only move the clicks and the fed-back mask on, without gradient: their share of the cost is small,
        and over the steps the drawn mean is an unbiased estimate of the mean over all clicks.
        """
        batch, schedule = example.batch, self.schedule
        state = (
            self.method.encode(torch.from_numpy(batch.images))
            if example.embedding is None
            else self.method.start(example.embedding)
        )
        device = self.parameters[0].device
        truth = torch.from_numpy(batch.truth).to(device)
        target, counts = (truth == 1).float(), (truth != IGNORE).float()
        points, labels = first_clicks(batch)
        total = torch.zeros((), device=device)
        learned = rng(*self.seeds, "learned clicks", step).choice(
            schedule.clicks, schedule.learned_clicks, replace=False
        )
        for click in range(schedule.clicks):
            with torch.set_grad_enabled(click in learned):
                logits = self.method.click(state, points, labels)
            if click in learned:
                total = total + dice_cross_entropy(logits, target, counts)
            if click + 1 < schedule.clicks:
                random = rng(*self.seeds, "clicks", step, click)
                points, labels = add_clicks(
                    points, labels, logits.detach() > 0, batch.truth, schedule.click_simulator, random
                )
        return total / schedule.learned_clicks


def scheduled_rate(step: int, schedule: Any, highest: float) -> float:
    """Linear warm-up, then half a cosine down to `final_learning_rate` times the highest rate."""
    if step < schedule.warmup_steps:
        return highest * (step + 1) / schedule.warmup_steps
    share = (step - schedule.warmup_steps) / max(1, schedule.steps - schedule.warmup_steps)
    low = schedule.final_learning_rate
    return highest * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * share)))


def first_clicks(batch: Batch) -> tuple[Tensor, Tensor]:
    """The first clicks of a batch as points (b, 1, 3) and labels (b, 1)."""
    points = torch.from_numpy(batch.first_clicks).float()[:, None]
    return points, torch.ones(points.shape[:2], dtype=torch.long)


def add_clicks(
    points: Tensor,
    labels: Tensor,
    prediction: Tensor,
    truth: np.ndarray,
    simulator: str,
    random: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Append one simulated click per case; label -1 where nothing is wrong.

    Args:
        points, labels: clicks so far, (b, n, 3) and (b, n).
        prediction: boolean (b, 1, d, h, w).
        truth: uint8 of the same shape, 255 where nothing is known: no click falls there.
    """
    predicted = prediction.cpu().numpy()
    new_points, new_labels = [], []
    for index in range(points.shape[0]):
        known = truth[index, 0] != IGNORE
        click = SIMULATORS[simulator](predicted[index, 0] & known, truth[index, 0] == 1, random)
        d, h, w, label = click if click else (0, 0, 0, -1)
        new_points.append([[float(d), float(h), float(w)]])
        new_labels.append([label])
    return torch.cat([points, torch.tensor(new_points)], 1), torch.cat([labels, torch.tensor(new_labels)], 1)
