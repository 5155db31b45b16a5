"""What a student of the base SAM learns from: scenes and the teacher's embeddings of them, computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from uscl_med3d.core.seeds import rng
from uscl_med3d.foundation.sam import SceneTraining
from uscl_med3d.foundation.slice_clicks import SliceBatch, SliceClicker, dice_percent
from uscl_med3d.methods.sam import SamMethod
from uscl_med3d.methods.slicewise import SlicewiseMethod
from uscl_med3d.nets.sam import Sam
from uscl_med3d.nets.sam.frame import LongestSideFrame


@dataclass(frozen=True)
class Pool:
    """Scenes as the networks see them.

    Attributes:
        inputs: normalised images (n, 3, s, s). embeddings: the teacher's (n, c, g, g).
        truth: objects (m, s, s) bool on the inputs. owner: the scene (m,) that each object lies in.
    """

    inputs: Tensor
    embeddings: Tensor
    truth: Tensor
    owner: Tensor


class Lessons:
    """The scenes that the teacher was trained on, and the held-out ones of its learning curve.

    Args:
        job: with `seed` and the teacher's section `sam`. training: numbers of the student's training.
        name: of the student, for its random streams. teacher: frozen, on its device.
    """

    def __init__(self, job: Any, training: Any, name: str, teacher: Sam) -> None:
        self.seed, self.name, self.training = job.seed, name, training
        self.source = SceneTraining(job, teacher)
        self.clicks = job.sam.training
        self.teacher: SamMethod = self.source.method
        self.device = self.teacher.device
        self.pool = self._gather(training.scenes)
        count = -(-training.held_out_scenes // self.clicks.batch_size)
        self.held_out = [self.source.draw("held_out", index) for index in range(count)]
        self.held_out_embeddings = [self._embed(self.teacher, batch) for batch in self.held_out]

    def choose(self, step: int) -> Tensor:
        """Indices of the scenes of a step."""
        random = rng(self.seed, self.name, "batch", step)
        count = min(self.training.batch_size, len(self.pool.inputs))
        return torch.from_numpy(random.choice(len(self.pool.inputs), count, replace=False))

    def embed(self, student: Sam, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """The student's and the teacher's embeddings (b, c, g, g) of some scenes."""
        inputs, target = self.pool.inputs[chosen], self.pool.embeddings[chosen]
        return student.image_encoder(inputs.to(self.device)), target.to(self.device)

    def examine(self, method: SlicewiseMethod) -> dict[str, float]:
        """Held-out scenes: squared error over the variance of the teacher's embeddings, Dice per click."""
        found = torch.cat([self._embed(method, batch) for batch in self.held_out])
        expected = torch.cat(self.held_out_embeddings)
        dice = score_clicks(
            method, self.held_out, self.training.held_out_clicks, self.clicks.click_simulator, self.seed
        )
        return {
            "held_out_embedding_error": float(F.mse_loss(found, expected) / expected.var((0, 2, 3)).mean()),
            **{f"held_out_dice_{number + 1}": value for number, value in enumerate(dice)},
        }

    def compare(self, student: SlicewiseMethod) -> dict[str, Any]:
        """Mean Dice (0..100) after each click of student and teacher on the held-out scenes."""
        methods = {"student": student, "teacher": self.teacher}
        arguments = self.training.held_out_clicks, self.clicks.click_simulator, self.seed
        dice = {name: score_clicks(method, self.held_out, *arguments) for name, method in methods.items()}
        return {"objects": sum(len(batch.truth) for batch in self.held_out), **dice}

    @torch.no_grad()
    def _embed(self, method: SlicewiseMethod, batch: SliceBatch) -> Tensor:
        return method.embed(batch.images).cpu()

    @torch.no_grad()
    def _gather(self, count: int) -> Pool:
        parts: list[Pool] = []
        found = 0
        while found < count:
            batch = self.source.draw("step", len(parts))
            frame = self.teacher.make_frame((batch.images.shape[-2], batch.images.shape[-1]))
            assert isinstance(frame, LongestSideFrame)  # SAM's own
            inputs = frame.place_images(batch.images)
            embeddings = self.teacher.network.image_encoder(inputs.to(self.device)).cpu()
            truth = F.interpolate(batch.truth[:, None].float(), size=frame.resized, mode="nearest")[:, 0] > 0
            side = frame.image_size
            truth = F.pad(truth, (0, side - truth.shape[-1], 0, side - truth.shape[-2]))
            parts.append(Pool(inputs, embeddings, truth, batch.owner + found))
            found += len(inputs)
        return Pool(*(torch.cat([getattr(part, name) for part in parts]) for name in Pool.__annotations__))


@torch.no_grad()
def score_clicks(
    method: SlicewiseMethod, batches: Sequence[SliceBatch], clicks: int, simulator: str, seed: int
) -> list[float]:
    """Mean Dice (0..100) over all targets after each of `clicks` clicks; the first ones are the same for all."""
    scores: list[list[Tensor]] = [[] for _ in range(clicks)]
    for index, batch in enumerate(batches):
        clicker = SliceClicker(method, batch, simulator, rng(seed, "held out clicks", index))
        prediction = None
        for number in range(clicks):
            prediction = clicker.choose(*clicker.click(prediction))
            scores[number].append(dice_percent(prediction, batch.truth))
    return [round(float(torch.cat(part).mean()), 3) for part in scores]
