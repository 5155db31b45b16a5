"""What a student of the base SAM learns from: scenes and the teacher's embeddings of them, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from uscl_med3d.core.seeds import rng
from uscl_med3d.foundation import sam
from uscl_med3d.foundation.slice_clicks import SliceBatch, score_held_out
from uscl_med3d.foundation.stages import DICE_COLUMNS
from uscl_med3d.methods.base import torch_device
from uscl_med3d.methods.sam import SamMethod
from uscl_med3d.methods.slicewise import SlicewiseMethod
from uscl_med3d.nets.sam import Sam
from uscl_med3d.nets.sam.frame import LongestSideFrame

COLUMNS = ["held_out_embedding_error", *DICE_COLUMNS[1:]]
POOL_BATCH = 6  # scenes of one size
POOL_OBJECTS = 3  # of a scene, at most


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


class DistillationScenes:
    """The scenes that the teacher was trained on, and the held-out ones of its learning curve.

    Args:
        job: with `seed`, `device` and the teacher's section `sam`.
        training: numbers of the student's training (`EncoderDistillation`).
        name: of the student, for its random streams. teacher: frozen.
    """

    def __init__(self, job: Any, training: Any, name: str, teacher: Sam) -> None:
        self.seed, self.name, self.training = job.seed, name, training
        self.source, self.targets = sam.SceneSource(job), job.sam.training.images
        self.device = torch_device(job.device)
        self.teacher = SamMethod(teacher, {}, (0.0, 100.0), self.device)
        self.pool = self._gather(training.scenes)
        self.held_out = self.source.draw_held_out(self.targets.held_out_images)
        self.held_out_embeddings = torch.cat([self._embed(self.teacher, batch) for batch in self.held_out])

    def draw_indices(self, step: int) -> Tensor:
        """Indices of the scenes of a step."""
        random = rng(self.seed, self.name, "batch", step)
        count = min(self.training.batch_size, len(self.pool.inputs))
        return torch.from_numpy(random.choice(len(self.pool.inputs), count, replace=False))

    def embed(self, student: Sam, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """The student's and the teacher's embeddings (b, c, g, g) of some scenes."""
        inputs, target = self.pool.inputs[chosen], self.pool.embeddings[chosen]
        return student.image_encoder(inputs.to(self.device)), target.to(self.device)

    def evaluate(self, method: SlicewiseMethod) -> dict[str, float]:
        """Held-out scenes: squared error over the variance of the teacher's embeddings, and Dice of clicks."""
        found = torch.cat([self._embed(method, batch) for batch in self.held_out])
        expected = self.held_out_embeddings
        error = F.mse_loss(found, expected) / expected.var((0, 2, 3)).mean()
        return {"held_out_embedding_error": float(error), **self._score(method)}

    def compare(self, student: SlicewiseMethod) -> dict[str, Any]:
        """Dice (0..100) of student and teacher on the held-out scenes."""
        return {
            "objects": sum(len(batch.truth) for batch in self.held_out),
            "student": self._score(student),
            "teacher": self._score(self.teacher),
        }

    def _score(self, method: SlicewiseMethod) -> dict[str, float]:
        scores = score_held_out(method, self.held_out, self.targets, (self.seed, sam.NAME))
        return {name: round(value, 3) for name, value in scores.items()}

    @torch.no_grad()
    def _embed(self, method: SlicewiseMethod, batch: SliceBatch) -> Tensor:
        return method.embed(batch.images).cpu()

    @torch.no_grad()
    def _gather(self, count: int) -> Pool:
        parts: list[Pool] = []
        found = 0
        while found < count:
            batch = self.source.draw(POOL_BATCH, POOL_OBJECTS, "step", len(parts))
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
