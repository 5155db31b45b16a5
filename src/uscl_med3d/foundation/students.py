"""What the two students of the base SAM share: their networks, how they are trained, and what they leave behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import sha256
from uscl_med3d.core.params.foundation import BASE_MODELS
from uscl_med3d.core.params.foundation.mobile_sam import MobileSamFoundation, TinyVitArchitecture
from uscl_med3d.core.params.foundation.tinysam import TinySamFoundation
from uscl_med3d.core.seeds import prepare_torch
from uscl_med3d.foundation.distillation_scenes import COLUMNS, DistillationScenes
from uscl_med3d.foundation.official import check_file
from uscl_med3d.foundation.stages import Stages, write_description
from uscl_med3d.methods.base import torch_device
from uscl_med3d.methods.mobile_sam import MobileSamMethod
from uscl_med3d.nets.mobile_sam import build_mobile_sam, describe
from uscl_med3d.nets.sam import OFFICIAL_DECODER, Sam, build_sam
from uscl_med3d.nets.sam.checkpoint import load_official, read_weights, save_weights
from uscl_med3d.nets.tensors import load_named
from uscl_med3d.nets.tiny_vit import TinyViT, TinyViTConfig
from uscl_med3d.train import engine


def read_teacher(path: Path | None, student: str) -> Sam:
    """The base SAM, frozen.

    Raises:
        InputError: without a file, or for a file of another model.
    """
    if path is None:
        raise InputError(
            file=f"foundation.{student}",
            found="no weights of the base SAM",
            expected="weights of foundation.sam to learn from",
            remedy="give --teacher",
        )
    architecture, tensors = read_weights(path, "sam")
    teacher = build_sam(architecture)
    load_named(teacher, tensors, path, "delete the file, so that its stage writes it again")
    return teacher.eval().requires_grad_(False)


def describe_student(teacher: Sam, settings: TinyVitArchitecture) -> dict[str, Any]:
    """Architecture of a student whose embedding is the teacher's in size, grid and channels.

    Raises:
        InputError: if the strides lead to another grid, or numbers do not fit together.
    """
    size, channels = teacher.config.image_size, teacher.config.prompt_dim
    try:
        encoder = TinyViTConfig(**settings.model_dump(), image_size=size, out_channels=channels)
        architecture = describe(teacher.config, encoder)
        with torch.device("meta"):
            build_mobile_sam(architecture)
    except ValueError as error:
        raise InputError(
            file="params.yaml",
            found=str(error),
            expected=f"an architecture with {teacher.config.grid} cells on {teacher.config.image_size} pixels",
            remedy="correct the section `architecture` of the student",
        ) from None
    return architecture


def build_student(teacher: Sam, settings: TinyVitArchitecture) -> tuple[Sam, dict[str, Any]]:
    """A student with a fresh encoder and the teacher's prompt encoder and decoder, and its architecture."""
    architecture = describe_student(teacher, settings)
    student = build_mobile_sam(architecture)
    for part in ("prompt_encoder", "mask_decoder"):
        getattr(student, part).load_state_dict(getattr(teacher, part).state_dict())
    return student, architecture


def list_encoder_parameters(student: Sam) -> list[nn.Parameter]:
    """Those of a student's encoder that its embedding depends on."""
    assert isinstance(student.image_encoder, TinyViT)
    return student.image_encoder.used_parameters()


def load_official_student(settings: MobileSamFoundation | TinySamFoundation) -> tuple[Sam, dict[str, Any]]:
    """The network of an official checkpoint (`settings.weights`), and its architecture."""
    check_file(Path(settings.weights), settings.sha256, settings.source)
    size, channels = OFFICIAL_DECODER.image_size, OFFICIAL_DECODER.prompt_dim
    encoder = TinyViTConfig(**settings.architecture.model_dump(), image_size=size, out_channels=channels)
    architecture = describe(OFFICIAL_DECODER, encoder)
    student = build_mobile_sam(architecture)
    load_official(student, settings.weights, None, settings.source)
    return student, architecture


def train_student(
    name: str,
    kind: type[MobileSamMethod],
    learn: Callable[[DistillationScenes, Any], engine.Task],
    job: Any,
    teacher: Path | None,
    *,
    weights_out: Path,
    curve_out: Path,
) -> None:
    """Write a student's weights (and a .json beside them with facts) and learning curve: trained here, or official.

    Args:
        name: key of the section `foundation`. kind: its method. learn: makes the task that distils it.
        job: `job.<name>` are its settings, `job.sam` describes the scenes.
        teacher: weights of the base SAM; not needed for an official student.

    Raises:
        InputError: for a missing, wrong or unsuitable file, or an architecture unlike the teacher's.
    """
    stage, settings = f"foundation_{name}", getattr(job, name)
    prepare_torch(job.seed, job.threads, stage)
    if settings.weights != "train":
        student, architecture = load_official_student(settings)
        write_student(name, settings, student, architecture, [], {}, weights_out, curve_out)
        return
    base = read_teacher(teacher, name)
    assert teacher is not None  # read_teacher refuses that
    student, architecture = build_student(base, settings.architecture)
    scenes = DistillationScenes(job, settings.training, stage, base)
    method = kind(student, architecture, scenes.teacher.percentiles, torch_device(job.device))
    belongs = engine.fingerprint(job, sha256(teacher))
    stages = Stages(job, stage, BASE_MODELS[name].title, weights_out, belongs)
    stages.run("distillation", lambda: learn(scenes, method), settings.training)
    facts = {"held_out": scenes.compare(method)}
    write_student(name, settings, student, architecture, stages.curve, facts, weights_out, curve_out)
    stages.finish()


def write_student(
    name: str,
    settings: MobileSamFoundation | TinySamFoundation,
    student: Sam,
    architecture: dict[str, Any],
    curve: list[dict[str, Any]],
    facts: dict[str, Any],
    weights_out: Path,
    curve_out: Path,
) -> None:
    """Write weights, facts (.json beside them) and learning curve."""
    save_weights(weights_out, name, architecture, student)
    encoder = sum(value.numel() for value in list_encoder_parameters(student))
    facts = {"encoder_parameters": encoder, **facts}
    write_description(settings, student, weights_out, curve_out, curve, COLUMNS, facts)
