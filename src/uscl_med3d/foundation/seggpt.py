"""The base SegGPT: trained here on synthetic scenes, or an official checkpoint; one file format for both."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F
from tqdm import tqdm
from transformers import SegGptForImageSegmentation

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import atomic, read_json, remove, sha256, write_csv, write_json
from uscl_med3d.core.params.foundation import SegGptArchitecture, SegGptFoundation, SegGptTraining
from uscl_med3d.core.seeds import prepare_torch, torch_generator
from uscl_med3d.foundation.held_out import score_held_out
from uscl_med3d.foundation.scenes import InContextBatch, draw_batch
from uscl_med3d.nets.seggpt import (
    build_seggpt,
    image_size,
    normalise,
    predict_canvas,
    save_seggpt,
    start_by_similarity,
)

CURVE_COLUMNS = ("step", "loss", "learning_rate", "dice_one_prompt", "dice_two_prompts")
CHECKPOINT_FILES = ("model.safetensors", "pytorch_model.bin")


def train(
    job: Any, general_dirs: Mapping[str, Path], teacher: Path | None, weights_out: Path, curve_out: Path
) -> None:
    """Write the base SegGPT to `weights_out` (safetensors), facts about it beside (.json), its curve as CSV.

    `job` is the slice `foundation_seggpt`. `job.seggpt.weights` is `train`, or the path of an official
    checkpoint: a directory with config.json and model.safetensors or pytorch_model.bin, or one of those
    files. An interrupted training continues from its last checkpoint, with the same result.

    Raises:
        InputError: the checkpoint is missing, has another SHA-256, or does not fit its config.json.
    """
    import pandas

    weights_out, curve_out = Path(weights_out), Path(curve_out)
    settings = job.seggpt
    prepare_torch(job.seed, job.threads, "foundation", "seggpt")
    if settings.weights == "train":
        model, curve = _train(job, weights_out)
        facts = {
            "steps": settings.training.steps,
            "held_out": score_held_out(model, job.seed, settings, job.device),
        }
    else:
        model, facts = load_official(settings)
        curve = []
    facts = {
        "source": settings.source,
        "weights": settings.weights,
        "parameters": sum(tensor.numel() for tensor in model.parameters()),
        "embedding_type": settings.embedding_type,
        **facts,
    }
    write_csv(curve_out, pandas.DataFrame(curve, columns=list(CURVE_COLUMNS)))
    write_json(weights_out.with_suffix(".json"), {**facts, "config": model.config.to_diff_dict()})
    save_seggpt(model, settings.embedding_type, weights_out)
    remove(_partial(weights_out))


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
            file=path, found=f"SHA-256 {digest}", expected=f"SHA-256 {settings.sha256}",
            remedy=f"download the file again ({settings.source}), or correct foundation.seggpt.sha256",
        )  # fmt: skip
    model = build_seggpt(read_json(path.parent / "config.json"))
    try:
        tensors = _read_tensors(path)
        model.load_state_dict(tensors)
    except Exception as error:
        raise InputError(
            file=path, found=f"{type(error).__name__}: {str(error)[:600]}",
            expected="the tensors of a SegGptForImageSegmentation with the config.json beside it",
            remedy=f"use the unmodified checkpoint and its config.json ({settings.source})",
        ) from error  # fmt: skip
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
            file=path, found=found, expected=f"config.json and one of {', '.join(CHECKPOINT_FILES)}",
            remedy="place BAAI/seggpt-vit-large there, or set foundation.seggpt.weights to `train`",
        )  # fmt: skip
    return file


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def _train(job: Any, weights_out: Path) -> tuple[SegGptForImageSegmentation, list[tuple]]:
    settings, training = job.seggpt, job.seggpt.training
    model = build_seggpt(configure(settings.architecture))
    start_by_similarity(model, training.similarity_scale)
    model.to(job.device)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, training.learning_rate, total_steps=training.steps + 1,
        pct_start=min(0.5, training.warmup_steps / training.steps),
    )  # fmt: skip
    state = _Progress(_partial(weights_out), _fingerprint(job), model, optimizer, schedule)
    first = state.resume()
    losses: list[float] = []
    model.train()
    for step in tqdm(
        range(first, training.steps), initial=first, total=training.steps, desc="SegGPT", file=sys.stderr
    ):
        generator = torch_generator(job.seed, "foundation", "seggpt", "step", step)
        plain = step < training.plain_steps
        two = not plain and float(torch.rand((), generator=generator)) < training.two_prompts
        batch = draw_batch(
            generator,
            training.batch_size,
            image_size(model),
            1 + two,
            training.extrapolation,
            settings.scenes.model_copy(update=dict(settings.plain_scenes)) if plain else settings.scenes,
        ).to(job.device)
        loss = in_context_loss(model, batch, training, settings.embedding_type)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), training.gradient_norm)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        done = step + 1
        if done % training.evaluate_every == 0 or done == training.steps:
            scores = score_held_out(model, job.seed, settings, job.device)
            rate = optimizer.param_groups[0]["lr"]
            mean_loss = sum(losses) / len(losses)
            state.curve.append(
                (done, mean_loss, rate, scores["one_prompt"]["seggpt"], scores["two_prompts"]["seggpt"])
            )
            losses = []
            model.train()
            if done % training.checkpoint_every == 0 and done < training.steps:
                state.save(done)
    return model, state.curve


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


def _partial(weights_out: Path) -> Path:
    return weights_out.with_name(f".{weights_out.stem}.partial.pt")


def _fingerprint(job: Any) -> str:
    """A checkpoint may be continued only with exactly the parameters that it was made with."""
    return hashlib.sha256(json.dumps(job.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


class _Progress:
    """The unfinished training on disk."""

    def __init__(self, path: Path, fingerprint: str, model: Any, optimizer: Any, schedule: Any) -> None:
        self.path, self.fingerprint, self.parts = path, fingerprint, (model, optimizer, schedule)
        self.curve: list[tuple] = []

    def save(self, step: int) -> None:
        states = [part.state_dict() for part in self.parts]
        with atomic(self.path) as temporary:
            torch.save(
                {"fingerprint": self.fingerprint, "step": step, "curve": self.curve, "states": states},
                temporary,
            )

    def resume(self) -> int:
        """Restore the last checkpoint, if it belongs to this job; the first step still to do."""
        if not self.path.is_file():
            return 0
        try:
            saved = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception:
            return 0
        if saved["fingerprint"] != self.fingerprint:
            return 0
        for part, state in zip(self.parts, saved["states"], strict=True):
            part.load_state_dict(state)
        self.curve = [tuple(row) for row in saved["curve"]]
        return saved["step"]
