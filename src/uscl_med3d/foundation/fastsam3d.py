"""The base FastSAM3D: a student that learns the features of the base SAM-Med3D, or the official student."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import sha256
from uscl_med3d.core.params.foundation.fastsam3d import Distillation
from uscl_med3d.core.seeds import prepare_torch, rng
from uscl_med3d.data.general import Reading
from uscl_med3d.foundation.general_crops import GeneralCrops, flip
from uscl_med3d.foundation.official import check_file
from uscl_med3d.foundation.stages import DICE_COLUMNS, Stages, write_description
from uscl_med3d.methods.base import torch_device
from uscl_med3d.methods.fastsam3d import FastSam3DMethod
from uscl_med3d.methods.sam_med3d import SamMed3DMethod
from uscl_med3d.nets.card import preprocessing_of
from uscl_med3d.nets.fastsam3d import FastSam3DConfig, FastSam3DEncoder, build_fastsam3d, save_fastsam3d
from uscl_med3d.nets.fastsam3d.config import Residual
from uscl_med3d.nets.intensity import zscore_foreground
from uscl_med3d.nets.sam_med3d import SamMed3D, SamMed3DConfig, build_sam_med3d, load_checkpoint
from uscl_med3d.train import engine

NAME = "foundation_fastsam3d"
VALIDATION_BATCH = 8  # crops at a time; only memory depends on it


def train(
    job: Any, general_dirs: Mapping[str, Path], teacher: Path | None, weights_out: Path, curve_out: Path
) -> None:
    """Write the weights of FastSAM3D (and a .json beside them with facts) and the learning curve.

    The prompt encoder and the mask decoder are the teacher's. `job.fastsam3d.weights` is `train`, or the path
    of the official student, an image encoder alone.

    Args:
        general_dirs: set name -> folder; only their training parts are read.
        teacher: weights of the base SAM-Med3D.

    Raises:
        InputError: for a missing, wrong or unsuitable checkpoint, or sets without any target.
    """
    settings, weights_out = job.fastsam3d, Path(weights_out)
    prepare_torch(job.seed, job.threads, NAME)
    base_file = _need_teacher(teacher)
    base = _load_teacher(job, base_file)
    network = build_fastsam3d(describe_student(job), base.config)
    for part in ("prompt_encoder", "mask_decoder"):
        getattr(network, part).load_state_dict(getattr(base, part).state_dict())
    curve: list[dict[str, Any]] = []
    facts: dict[str, Any] = {
        "general_sets": sorted(general_dirs),
        "encoder_parameters": sum(value.numel() for value in network.image_encoder.parameters()),
    }
    if settings.weights == "train":
        crops = GeneralCrops(
            general_dirs, Reading.of(job), job.model.image_size, settings.training.crops, job.seed, NAME
        )
        belongs = engine.fingerprint(job, crops.files, sha256(base_file))
        stages = Stages(job, NAME, "FastSAM3D", weights_out, belongs, job.precision)
        stages.run("distillation", lambda: FeatureDistillation(job, base, network, crops), settings.training)
        curve, facts["validation"] = stages.curve, _compare(job, base, network, crops)
    else:
        check_file(Path(settings.weights), settings.sha256, settings.source)
        load_checkpoint(network.image_encoder, settings.weights)
        network.preprocessing = preprocessing_of(settings.weights)
    save_fastsam3d(weights_out, network)
    write_description(settings, network, weights_out, curve_out, curve, DICE_COLUMNS[1:], facts)
    if settings.weights == "train":
        stages.finish()


def describe_student(job: Any) -> FastSam3DConfig:
    """The student's shape: its own section, with crops, width and embedding of the base SAM-Med3D."""
    shared = ("image_size", "patch_size", "embed_dim", "mlp_ratio", "prompt_dim")
    return FastSam3DConfig(
        **{name: getattr(job.model, name) for name in shared}, **job.fastsam3d.architecture.model_dump()
    )


def describe_teacher(job: Any, residual: Residual) -> FastSam3DConfig:
    """The teacher's encoder as a `FastSam3DConfig`; `plain` is SAM-Med3D itself.

    With `normalised` it computes what the public code distils from: its teacher class adds the MLP to the
    normalised tokens, although the weights come from SAM-Med3D.
    """
    model = job.model
    return replace(
        describe_student(job),
        depth=model.depth,
        num_heads=model.num_heads,
        window_size=model.window_size,
        blocks_without_attention=0,
        global_blocks=model.global_blocks,
        residual=residual,
        output_every=1,
        relative_position=model.relative_position,
        sparse_attention="none",
    )


def pair_layers(student: FastSam3DConfig, teacher_depth: int) -> list[tuple[int, int]]:
    """What learns from what, in order: indices into `list_outputs` of student and teacher (`output_every` 1).

    A student block at a share of its depth learns from the teacher's block at the same share; the last pair is
    the embedding. (The public code's layer-wise line pairs equal block numbers, so that the student would
    never learn from the teacher's later half before the embedding.)
    """
    counts = range(1, student.depth // student.output_every + 1)
    blocks = [
        (count, max(1, round(count * student.output_every * teacher_depth / student.depth)))
        for count in counts
    ]
    return [*blocks, (-1, -1)]


def start_from_teacher(student: FastSam3DEncoder, teacher: FastSam3DEncoder) -> None:
    """Copy patches, positions, neck, and of every paired block what has the same shape."""
    pairs = pair_layers(replace(student.config, output_every=1), teacher.config.depth)
    names = {f"blocks.{ours - 1}.": f"blocks.{theirs - 1}." for ours, theirs in pairs[:-1]}
    source, own = teacher.state_dict(), student.state_dict()
    for name, value in own.items():
        ours = next((prefix for prefix in names if name.startswith(prefix)), None)
        given = source.get(name if ours is None else names[ours] + name.removeprefix(ours))
        if given is not None and given.shape == value.shape:
            value.copy_(given)


class FeatureDistillation(engine.Task):
    """A student's encoder learns the teacher's features; the teacher sees the same crops.

    `progressive` learns one pair of layers after the other, `layer_steps` steps each, then the embedding for
    the rest; `output` learns the embedding only, as the public code does.
    """

    def __init__(self, job: Any, base: SamMed3D, student: SamMed3D, crops: GeneralCrops) -> None:
        self.settings, self.crops, self.seed = job.fastsam3d.training, crops, job.seed
        encoder, device = student.image_encoder, torch_device(job.device)
        assert isinstance(encoder, FastSam3DEncoder)
        teacher = FastSam3DEncoder(describe_teacher(job, self.settings.teacher_residual))
        teacher.load_state_dict(base.image_encoder.state_dict(), strict=True)
        if self.settings.start == "teacher":
            start_from_teacher(encoder, teacher)
        self.teacher = teacher.to(device).eval().requires_grad_(False)
        self.method = FastSam3DMethod(student, job.prompts, device)
        self.network = self.encoder = encoder
        self.pairs = pair_layers(encoder.config, job.model.depth)

    def groups(self) -> list[engine.Group]:
        """The encoder."""
        return [engine.Group(list(self.encoder.parameters()), self.settings.learning_rate)]

    def loss(self, step: int) -> Mapping[str, Tensor]:
        """Mean squared error of one pair of layers."""
        random = rng(self.seed, NAME, "batch", step)
        references = self.crops.draw_references(self.settings.batch_size, random)
        batch = flip(self.crops.source.cut_batch(references), self.settings.crops.flip_probability, random)
        images = zscore_foreground(torch.from_numpy(batch.images).to(self.method.device))
        ours, theirs = pair_at(step, self.pairs, self.settings)
        with torch.no_grad():
            target = self.teacher.list_outputs(images)[theirs]
        found = self.encoder.list_outputs(images)[ours]
        return {"loss": F.mse_loss(found.float(), target.float())}

    def evaluate(self) -> dict[str, float]:
        """Dice (0..100) of validation crops, also with another crop's image."""
        return self.crops.validate_clicks(self.method)


def pair_at(step: int, pairs: list[tuple[int, int]], settings: Distillation) -> tuple[int, int]:
    """The pair of layers that is learned in a step."""
    if settings.form == "output" or step >= settings.layer_steps * (len(pairs) - 1):
        return pairs[-1]
    return pairs[step // settings.layer_steps]


def _need_teacher(path: Path | None) -> Path:
    if path is None:
        raise InputError(
            file="foundation.fastsam3d",
            found="no weights of the base SAM-Med3D",
            expected="weights whose prompt encoder and mask decoder FastSAM3D shares",
            remedy="give --teacher, the weights file of foundation.sam_med3d",
        )
    return path


def _load_teacher(job: Any, path: Path) -> SamMed3D:
    base = build_sam_med3d(SamMed3DConfig(**job.model.model_dump()))
    load_checkpoint(base, path)
    return base.eval()


def _compare(job: Any, base: SamMed3D, network: SamMed3D, crops: GeneralCrops) -> dict[str, Any]:
    """Student and teacher on crops of patients that the student never saw."""
    device = torch_device(job.device)
    methods = {
        "student": FastSam3DMethod(network, job.prompts, device),
        "teacher": SamMed3DMethod(base, job.prompts, device),
    }
    return {
        "crops": len(crops.validation_crops),
        "unexplained_features": round(_unexplained(methods["student"], methods["teacher"], crops), 4),
        **{name: crops.validate_clicks(method) for name, method in methods.items()},
    }


@torch.no_grad()
def _unexplained(student: SamMed3DMethod, teacher: SamMed3DMethod, crops: GeneralCrops) -> float:
    """Mean squared difference of the embeddings over the teacher's variance from crop to crop.

    The variance of each channel and cell by itself: what all crops have in common, positions above all, is
    easily learned and says nothing about images.
    """
    parts: list[list[Tensor]] = [[], []]
    for start in range(0, len(crops.validation_crops), VALIDATION_BATCH):
        batch = crops.source.cut_batch(crops.validation_crops[start : start + VALIDATION_BATCH])
        for part, method in zip(parts, (student, teacher), strict=True):
            part.append(method.embed(torch.from_numpy(batch.images)))
    found, wanted = (torch.cat(part) for part in parts)
    return float((found - wanted).square().mean() / wanted.var(0).mean())
