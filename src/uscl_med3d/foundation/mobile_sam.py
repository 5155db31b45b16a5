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

from uscl_med3d.core.seeds import prepare_torch
from uscl_med3d.foundation.distillation import Distiller, fingerprint
from uscl_med3d.foundation.scene_pool import Lessons
from uscl_med3d.foundation.students import (
    build_student,
    list_encoder_parameters,
    load_official_student,
    read_teacher,
    write_student,
)
from uscl_med3d.methods.base import torch_device
from uscl_med3d.methods.mobile_sam import MobileSamMethod

NAME = "foundation_mobile_sam"


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
    settings, weights_out = job.mobile_sam, Path(weights_out)
    prepare_torch(job.seed, job.threads, NAME)
    if settings.weights != "train":
        student, architecture = load_official_student(settings)
        write_student("mobile_sam", settings, student, architecture, [], {}, weights_out, curve_out)
        return
    base, device = read_teacher(teacher, "mobile_sam"), torch_device(job.device)
    student, architecture = build_student(base, settings.architecture)
    lessons = Lessons(job, settings.training, NAME, base)
    method = MobileSamMethod(student, architecture, lessons.teacher.percentiles, device)
    parameters = list_encoder_parameters(student)

    assert teacher is not None  # read_teacher refuses that

    def loss(step: int) -> Tensor:
        return F.mse_loss(*lessons.embed(student, lessons.choose(step)))

    distiller = Distiller(
        student, [(parameters, settings.training.learning_rate)], settings.training, loss,
        lambda: lessons.examine(method), weights_out.with_name(weights_out.name + ".resume"),
        fingerprint(job, teacher),
    )  # fmt: skip
    curve = distiller.run("MobileSAM")
    facts = {"held_out": lessons.compare(method)}
    write_student("mobile_sam", settings, student, architecture, curve, facts, weights_out, curve_out)
    distiller.finish()
