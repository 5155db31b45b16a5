"""The base MobileSAM: decoupled distillation from the base SAM, or the official weights.

As in the paper (arXiv 2306.14289), the encoder learns the teacher's embeddings (mean squared error), which are
computed once in advance; prompt encoder and decoder are the teacher's, unchanged. The images are the synthetic
scenes that the teacher was trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from uscl_med3d.foundation.distillation_scenes import DistillationScenes
from uscl_med3d.foundation.students import list_encoder_parameters, train_student
from uscl_med3d.methods.mobile_sam import MobileSamMethod
from uscl_med3d.train import engine


def train(
    job: Any, general_dirs: Mapping[str, Path], teacher: Path | None, weights_out: Path, curve_out: Path
) -> None:
    """Write the weights of MobileSAM (and a .json beside them with facts) and the learning curve.

    Args:
        job: `job.mobile_sam.weights` is `train`, or the path of mobile_sam.pt; `job.sam` describes the scenes.
        general_dirs: not read.
        teacher: weights of the base SAM; needed for `train` only.

    Raises:
        InputError: for a missing, wrong or unsuitable file, or an architecture unlike the teacher's.
    """
    train_student(
        "mobile_sam",
        MobileSamMethod,
        EmbeddingDistillation,
        job,
        teacher,
        weights_out=Path(weights_out),
        curve_out=Path(curve_out),
    )


class EmbeddingDistillation(engine.Task):
    """The encoder learns the teacher's embeddings; prompt encoder and decoder stay as they are."""

    def __init__(self, scenes: DistillationScenes, student: MobileSamMethod) -> None:
        self.scenes, self.student, self.network = scenes, student, student.network
        student.network.requires_grad_(False)
        self.trained = list_encoder_parameters(student.network)
        for value in self.trained:
            value.requires_grad_(True)

    def groups(self) -> list[engine.Group]:
        """What the embedding depends on."""
        return [engine.Group(self.trained, self.scenes.training.learning_rate)]

    def loss(self, step: int) -> Mapping[str, Tensor]:
        """Mean squared error of the embeddings."""
        found, target = self.scenes.embed(self.student.network, self.scenes.draw_indices(step))
        return {"loss": F.mse_loss(found, target)}

    def evaluate(self) -> dict[str, float]:
        """See `DistillationScenes.evaluate`."""
        return self.scenes.evaluate(self.student)
