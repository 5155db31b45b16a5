"""What the two distilled relatives of SAM share: student and teacher, the optimisation, and its resume file."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from uscl_med3d.core.io import atomic, remove, sha256
from uscl_med3d.train.loop import scheduled_rate

Groups = Sequence[tuple[Sequence[nn.Parameter], float]]


class Distiller:
    """Optimises a student with AdamW; an interrupted training goes on with the same result.

    Args:
        student: what is saved and restored. groups: its parameters to optimise, with their highest learning
        rates. training: numbers of the training (`Distillation`). loss: step -> loss. evaluate: -> columns of
        the learning curve. resume_path, fingerprint: where to keep the state of an unfinished training, and
        what it must belong to.
    """

    def __init__(
        self, student: nn.Module, groups: Groups, training: Any, loss: Callable[[int], Tensor],
        evaluate: Callable[[], Mapping[str, float]], resume_path: Path, fingerprint: str,
    ) -> None:  # fmt: skip
        self.student, self.training, self.loss, self.evaluate = student, training, loss, evaluate
        self.resume_path, self.fingerprint = resume_path, fingerprint
        self.highest = [rate for _, rate in groups]
        self.parameters = [value for values, _ in groups for value in values]
        self.optimizer = torch.optim.AdamW(
            [{"params": list(values)} for values, _ in groups], weight_decay=training.weight_decay, fused=True
        )
        self.curve: list[dict[str, float]] = []
        self.recent: list[float] = []

    def run(self, title: str) -> list[dict[str, float]]:
        """Train to the last step; return the learning curve."""
        from tqdm import trange

        training = self.training
        first = self._resume()
        for step in trange(first, training.steps, desc=title, initial=first, total=training.steps,
                           mininterval=5, file=sys.stderr, unit="step"):  # fmt: skip
            self._step(step)
            done = step + 1
            if done % training.evaluate_every == 0 or done == training.steps:
                self._record(done)
            if done % training.resume_every == 0 and done < training.steps:
                self._keep(done)
        self.student.eval()
        return self.curve

    def finish(self) -> None:
        """Forget the resume file, once the outputs are written."""
        remove(self.resume_path)

    def _step(self, step: int) -> None:
        for group, highest in zip(self.optimizer.param_groups, self.highest, strict=True):
            group["lr"] = scheduled_rate(step, self.training, highest)
        self.student.train()
        loss = self.loss(step)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, self.training.gradient_norm)
        self.optimizer.step()
        self.recent.append(float(loss.detach()))

    def _record(self, done: int) -> None:
        self.student.eval()
        rate = scheduled_rate(done - 1, self.training, self.highest[0])
        loss = sum(self.recent) / len(self.recent)
        self.curve.append({"step": done, "loss": loss, "learning_rate": rate, **self.evaluate()})
        self.recent = []

    def _keep(self, done: int) -> None:
        with atomic(self.resume_path) as temporary:
            torch.save(
                {"fingerprint": self.fingerprint, "step": done, "curve": self.curve, "recent": self.recent,
                 "student": self.student.state_dict(), "optimizer": self.optimizer.state_dict()},
                temporary,
            )  # fmt: skip

    def _resume(self) -> int:
        """Restore an unfinished run of the same job; the first step still to do. Foreign files are ignored."""
        if not self.resume_path.is_file():
            return 0
        try:
            saved = torch.load(self.resume_path, map_location="cpu", weights_only=True)
            if saved["fingerprint"] != self.fingerprint:
                return 0
        except Exception:  # a damaged file only costs the time it would have saved
            return 0
        self.student.load_state_dict(saved["student"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.curve, self.recent = saved["curve"], saved["recent"]
        return saved["step"]


def fingerprint(job: Any, teacher: Path) -> str:
    """What an unfinished training must belong to: the job, the teacher, the version of torch."""
    content = [job.model_dump(mode="json"), sha256(teacher), torch.__version__]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
