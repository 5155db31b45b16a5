"""The base FastSAM3D: a student that learns the features of the base SAM-Med3D, or the official student."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import sha256, write_csv, write_json
from uscl_med3d.core.seeds import prepare_torch
from uscl_med3d.data.general import Reading
from uscl_med3d.foundation.general_crops import GeneralCrops
from uscl_med3d.foundation.sam_med3d import CURVE_COLUMNS, check_file
from uscl_med3d.methods.base import torch_device
from uscl_med3d.methods.fastsam3d import FastSam3DMethod
from uscl_med3d.methods.sam_med3d import SamMed3DMethod
from uscl_med3d.nets.fastsam3d import FastSam3DConfig, FastSam3DEncoder, build_fastsam3d, save_fastsam3d
from uscl_med3d.nets.fastsam3d.config import Residual
from uscl_med3d.nets.intensity import zscore_foreground
from uscl_med3d.nets.sam_med3d import SamMed3D, SamMed3DConfig, build_sam_med3d, load_checkpoint
from uscl_med3d.train.crops import Batch
from uscl_med3d.train.loop import Trainer

NAME = "foundation_fastsam3d"


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
    curve: list[dict[str, float]] = []
    facts: dict[str, Any] = {"general_sets": sorted(general_dirs)}
    if settings.weights == "train":
        crops = GeneralCrops(
            general_dirs, Reading.of(job), job.model.image_size, settings.training, job.seed, NAME
        )
        trainer = _make_trainer(job, base, network, crops, base_file, weights_out)
        curve = trainer.run("FastSAM3D").curve
        facts["validation"] = _compare(job, base, network, crops)
    else:
        check_file(Path(settings.weights), settings.sha256, settings.source)
        load_checkpoint(network.image_encoder, settings.weights)
    save_fastsam3d(weights_out, network)
    write_csv(curve_out, pd.DataFrame(curve, columns=CURVE_COLUMNS))
    write_json(
        weights_out.with_suffix(".json"),
        {"weights": settings.weights, "source": settings.source, "sha256": sha256(weights_out),
         "parameters": sum(value.numel() for value in network.parameters()),
         "encoder_parameters": sum(value.numel() for value in network.image_encoder.parameters()), **facts},
    )  # fmt: skip
    if settings.weights == "train":
        trainer.finish()


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
        describe_student(job), depth=model.depth, num_heads=model.num_heads, window_size=model.window_size,
        blocks_without_attention=0, global_blocks=model.global_blocks, residual=residual, output_every=1,
        relative_position=model.relative_position, sparse_attention="none",
    )  # fmt: skip


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


class Distiller(Trainer):
    """Trains a student on the teacher's features; the teacher runs on the same crops.

    `progressive` learns one pair of layers after the other, `layer_steps` steps each, then the embedding for
    the rest; `output` learns the embedding only, as the public code does.
    """

    method: FastSam3DMethod

    def distil(
        self, teacher: FastSam3DEncoder, pairs: list[tuple[int, int]], form: str, layer_steps: int
    ) -> None:
        """Set what to learn from; call it before `run`."""
        self.teacher, self.pairs = teacher.eval().requires_grad_(False), pairs
        self.form, self.layer_steps = form, layer_steps

    def pair_at(self, step: int) -> tuple[int, int]:
        """The pair that is learned in a step."""
        if self.form == "output" or step >= self.layer_steps * (len(self.pairs) - 1):
            return self.pairs[-1]
        return self.pairs[step // self.layer_steps]

    def _loss(self, example: Batch, step: int) -> Tensor:
        images = torch.from_numpy(example.images).to(self.method.device)
        images = zscore_foreground(images)
        ours, theirs = self.pair_at(step)
        with torch.no_grad():
            target = self.teacher.list_outputs(images)[theirs]
        encoder = self.method.network.image_encoder
        assert isinstance(encoder, FastSam3DEncoder)
        found = encoder.list_outputs(images)[ours]
        return F.mse_loss(found.float(), target.float())


class _Student(FastSam3DMethod):
    """The method while its encoder learns."""

    def trained_state(self) -> dict[str, Tensor]:
        encoder = self.network.image_encoder.state_dict()
        return {name: value.detach().to("cpu", copy=True) for name, value in encoder.items()}

    def load_trained(self, tensors: Mapping[str, Tensor]) -> None:
        self.network.image_encoder.load_state_dict(dict(tensors), strict=True)


def _need_teacher(path: Path | None) -> Path:
    if path is None:
        raise InputError(
            file="foundation.fastsam3d", found="no weights of the base SAM-Med3D",
            expected="weights whose prompt encoder and mask decoder FastSAM3D shares",
            remedy="give --teacher, the weights file of foundation.sam_med3d",
        )  # fmt: skip
    return path


def _load_teacher(job: Any, path: Path) -> SamMed3D:
    base = build_sam_med3d(SamMed3DConfig(**job.model.model_dump()))
    load_checkpoint(base, path)
    return base.eval()


def _make_trainer(
    job: Any, base: SamMed3D, network: SamMed3D, crops: GeneralCrops, teacher_file: Path, weights_out: Path
) -> Distiller:
    schedule, device, encoder = job.fastsam3d.training, torch_device(job.device), network.image_encoder
    assert isinstance(encoder, FastSam3DEncoder)
    teacher = FastSam3DEncoder(describe_teacher(job, schedule.teacher_residual))
    teacher.load_state_dict(base.image_encoder.state_dict(), strict=True)
    if schedule.start == "teacher":
        start_from_teacher(encoder, teacher)
    method = _Student(network, job.prompts, device)
    content = [job.model_dump(mode="json"), crops.files, sha256(teacher_file), torch.__version__]
    fingerprint = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    trainer = Distiller(
        method, list(encoder.parameters()), schedule, schedule.learning_rate,
        crops.draw, lambda: crops.validate(method), (job.seed, NAME),
        weights_out.with_name(weights_out.name + ".resume"), fingerprint, job.precision,
    )  # fmt: skip
    pairs = pair_layers(encoder.config, job.model.depth)
    trainer.distil(teacher.to(device), pairs, schedule.form, schedule.layer_steps)
    return trainer


def _compare(job: Any, base: SamMed3D, network: SamMed3D, crops: GeneralCrops) -> dict[str, float]:
    """Student and teacher on crops of patients that the student never saw."""
    device = torch_device(job.device)
    methods = {
        "student": FastSam3DMethod(network, job.prompts, device),
        "teacher": SamMed3DMethod(base, job.prompts, device),
    }
    scores = {f"{name}_dice": round(crops.validate(method), 3) for name, method in methods.items()}
    return {
        "clicks": crops.schedule.validation_clicks,
        "crops": len(crops.validation_crops),
        "unexplained_features": round(_unexplained(methods["student"], methods["teacher"], crops), 4),
        **scores,
    }


@torch.no_grad()
def _unexplained(student: SamMed3DMethod, teacher: SamMed3DMethod, crops: GeneralCrops) -> float:
    """Mean squared difference of the embeddings over the teacher's variance from crop to crop.

    The variance of each channel and cell by itself: what all crops have in common, positions above all, is
    easily learned and says nothing about images.
    """
    parts: list[list[Tensor]] = [[], []]
    for start in range(0, len(crops.validation_crops), crops.schedule.batch_size):
        batch = crops.source.cut_batch(crops.validation_crops[start : start + crops.schedule.batch_size])
        for part, method in zip(parts, (student, teacher), strict=True):
            part.append(method.embed(torch.from_numpy(batch.images)))
    found, wanted = (torch.cat(part) for part in parts)
    return float((found - wanted).square().mean() / wanted.var(0).mean())
