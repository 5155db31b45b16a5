"""The base SegGPT: trained here on synthetic scenes, or an official checkpoint; one file format for both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F
from transformers import SegGptForImageSegmentation

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json, sha256
from uscl_med3d.core.params.foundation.seggpt import SegGptArchitecture, SegGptFoundation, SegGptTraining
from uscl_med3d.core.seeds import prepare_torch, torch_generator
from uscl_med3d.foundation.held_out import score_held_out
from uscl_med3d.foundation.scenes import InContextBatch, draw_batch
from uscl_med3d.foundation.stages import Stages, write_description
from uscl_med3d.nets.seggpt import (
    build_seggpt,
    image_size,
    normalise,
    predict_canvas,
    save_seggpt,
    start_by_similarity,
)
from uscl_med3d.train import engine

NAME = "foundation_seggpt"
CURVE_COLUMNS = ["dice_one_prompt", "dice_one_prompt_copied", "dice_two_prompts", "dice_two_prompts_copied"]
CHECKPOINT_FILES = ("model.safetensors", "pytorch_model.bin")


def train(
    job: Any, general_dirs: Mapping[str, Path], teacher: Path | None, weights_out: Path, curve_out: Path
) -> None:
    """Write the base SegGPT to `weights_out` (safetensors), facts about it beside (.json), its curve as CSV.

    `job` is the slice `foundation_seggpt`. `job.seggpt.weights` is `train`, or the path of an official
    checkpoint: a directory with config.json and model.safetensors or pytorch_model.bin, or one of those
    files. An interrupted training goes on with the same result.

    Raises:
        InputError: the checkpoint is missing, has another SHA-256, or does not fit its config.json.
    """
    weights_out = Path(weights_out)
    settings = job.seggpt
    prepare_torch(job.seed, job.threads, "foundation", "seggpt")
    curve: list[dict[str, Any]] = []
    if settings.weights == "train":
        stages = Stages(job, NAME, "base SegGPT", weights_out, engine.fingerprint(job))
        task = FollowObjects(job)
        stages.run("scenes", lambda: task, settings.training)
        model, curve = task.network, stages.curve
        facts = {
            "steps": settings.training.steps,
            "held_out": score_held_out(model, job.seed, settings, job.device),
        }
    else:
        model, facts = load_official(settings)
    save_seggpt(model, settings.embedding_type, weights_out)
    facts = {"embedding_type": settings.embedding_type, **facts, "config": model.config.to_diff_dict()}
    write_description(settings, model, weights_out, curve_out, curve, CURVE_COLUMNS, facts)
    if settings.weights == "train":
        stages.finish()


def configure(architecture: SegGptArchitecture) -> dict[str, Any]:
    """The `SegGptConfig` fields of a model trained here: dropout and stochastic depth off, relative
    positions on."""
    fields = architecture.model_dump()
    height, width = fields.pop("image_height"), fields.pop("image_width")
    indices = list(fields.pop("intermediate_hidden_state_indices"))
    return fields | {
        "image_size": [2 * height, width],
        "pretrain_image_size": height,
        "intermediate_hidden_state_indices": indices,
        "drop_path_rate": 0.0,
        "use_relative_position_embeddings": True,
    }


def load_official(settings: SegGptFoundation) -> tuple[SegGptForImageSegmentation, dict[str, Any]]:
    """Model and facts (file name, SHA-256) of an official checkpoint in the format of the Hugging Face
    hub."""
    path = find_checkpoint(Path(settings.weights))
    digest = sha256(path)
    if settings.sha256 is not None and digest != settings.sha256.lower():
        raise InputError(
            file=path,
            found=f"SHA-256 {digest}",
            expected=f"SHA-256 {settings.sha256}",
            remedy=f"download the file again ({settings.source}), or correct foundation.seggpt.sha256",
        )
    model = build_seggpt(read_json(path.parent / "config.json"))
    try:
        tensors = _read_tensors(path)
        model.load_state_dict(tensors)
    except Exception as error:
        raise InputError(
            file=path,
            found=f"{type(error).__name__}: {str(error)[:600]}",
            expected="the tensors of a SegGptForImageSegmentation with the config.json beside it",
            remedy=f"use the unmodified checkpoint and its config.json ({settings.source})",
        ) from error
    return model, {"file": path.name, "sha256": digest}


def find_checkpoint(path: Path) -> Path:
    """The weights file that `path` names: the file itself, or the one inside the directory; config.json
    beside it."""
    candidates = [path / name for name in CHECKPOINT_FILES] if path.is_dir() else [path]
    file = next((candidate for candidate in candidates if candidate.is_file()), None)
    if file is None or not (file.parent / "config.json").is_file():
        found = (
            "no such file"
            if not path.exists()
            else "no weights file"
            if file is None
            else "no config.json beside it"
        )
        raise InputError(
            file=path,
            found=found,
            expected=f"config.json and one of {', '.join(CHECKPOINT_FILES)}",
            remedy="place BAAI/seggpt-vit-large there, or set foundation.seggpt.weights to `train`",
        )
    return file


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


class FollowObjects(engine.Task):
    """An object that is marked in one or two views is found in another view of the scene."""

    network: SegGptForImageSegmentation

    def __init__(self, job: Any) -> None:
        self.seed, self.settings, self.device = job.seed, job.seggpt, job.device
        self.network = build_seggpt(configure(self.settings.architecture))
        start_by_similarity(self.network, self.settings.training.similarity_scale)
        self.network.to(self.device)

    def groups(self) -> list[engine.Group]:
        """All parameters."""
        return [engine.Group(list(self.network.parameters()), self.settings.training.learning_rate)]

    def loss(self, step: int) -> Mapping[str, torch.Tensor]:
        """New scenes in every step; plain ones first."""
        settings, training = self.settings, self.settings.training
        generator = torch_generator(self.seed, "foundation", "seggpt", "step", step)
        plain = step < training.plain_steps
        two = not plain and float(torch.rand((), generator=generator)) < training.two_prompts
        scenes = settings.scenes.model_copy(update=dict(settings.plain_scenes)) if plain else settings.scenes
        batch = draw_batch(
            generator,
            training.batch_size,
            image_size(self.network),
            1 + two,
            training.extrapolation,
            scenes,
        ).to(self.device)
        return {"loss": in_context_loss(self.network, batch, training, settings.embedding_type)}

    def evaluate(self) -> dict[str, float]:
        """Dice (0..100) of held-out scenes; beside it that of the nearest prompt's mask, unchanged."""
        scores = score_held_out(self.network, self.seed, self.settings, self.device)
        return {
            f"dice_{name}" + suffix: scores[name][key]
            for name in scores
            for key, suffix in (("seggpt", ""), ("nearest_prompt_mask", "_copied"))
        }


def in_context_loss(
    model: SegGptForImageSegmentation, batch: InContextBatch, training: SegGptTraining, embedding_type: str
) -> torch.Tensor:
    """Smooth L1 between predicted and true mask images: the target's, and weakly the prompt's own.

    The first term is SegGPT's loss with the whole target masked, as at inference (transformers, SegGptLoss).
    SegGPT also masks random patches of the prompt's mask and paints them in; the second term takes that
    place. It asks for the prompt's mask back, which the model sees: so that the decoder knows masks before
    attention finds them.
    """
    canvas = predict_canvas(
        model,
        normalise(batch.target),
        normalise_views(batch.prompt_images),
        normalise_views(as_mask_images(batch.prompt_masks)),
        batch.weights,
        embedding_type,
    )
    prompt, target = canvas.chunk(2, dim=2)
    loss = F.smooth_l1_loss(target, normalise(as_mask_images(batch.target_mask)), beta=training.loss_beta)
    shown = batch.prompt_masks[torch.arange(len(prompt)), batch.weights.argmax(dim=1)]
    own = F.smooth_l1_loss(prompt, normalise(as_mask_images(shown)), beta=training.loss_beta)
    return loss + training.prompt_loss * own


def as_mask_images(masks: torch.Tensor) -> torch.Tensor:
    """Binary masks (..., h, w) -> white on black (..., 3, h, w)."""
    return masks.float().unsqueeze(-3).expand(*masks.shape[:-2], 3, *masks.shape[-2:])


def normalise_views(images: torch.Tensor) -> torch.Tensor:
    """`normalise` for (b, v, 3, h, w)."""
    return normalise(images.flatten(0, 1)).reshape(images.shape)
