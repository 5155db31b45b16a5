"""How well the small SegGPT follows objects in scenes that it was never trained on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from uscl_med3d.core.params.foundation.seggpt import SegGptFoundation
from uscl_med3d.core.seeds import torch_generator
from uscl_med3d.foundation.scenes import InContextBatch, draw_batch
from uscl_med3d.nets.seggpt import image_size, normalise, predict_canvas, read_scores

BATCH = 16  # scenes at a time; only memory depends on it


@torch.no_grad()
def score_held_out(
    model: Any, seed: int, settings: SegGptFoundation, device: str
) -> dict[str, dict[str, float]]:
    """Mean Dice (0..100) on held-out scenes with one and with two prompts.

    Beside SegGPT the trivial answer: the mask of the nearest prompt, unchanged. Scenes where both masks of
    the target are empty would be worth 100 and are left out.
    """
    model.eval()
    return {
        "one_prompt": _score(model, seed, settings, device, prompts=1),
        "two_prompts": _score(model, seed, settings, device, prompts=2),
    }


def _score(model: Any, seed: int, settings: SegGptFoundation, device: str, prompts: int) -> dict[str, float]:
    generator = torch_generator(seed, "foundation", "seggpt", "held_out", prompts)
    model_dice, copy_dice = [], []
    for start in range(0, settings.training.held_out_scenes, BATCH):
        count = min(BATCH, settings.training.held_out_scenes - start)
        batch = draw_batch(
            generator, count, image_size(model), prompts, settings.training.extrapolation, settings.scenes
        ).to(device)
        predicted = _segment(model, batch, settings.embedding_type) > 0.5
        nearest = batch.prompt_masks[torch.arange(count), batch.weights.argmax(dim=1)]
        model_dice.append(dice_percent(predicted, batch.target_mask))
        copy_dice.append(dice_percent(nearest, batch.target_mask))
    ours, copied = torch.cat(model_dice), torch.cat(copy_dice)
    scored = ~(ours.isnan() | copied.isnan())
    return {
        "scenes": int(scored.sum()),
        "seggpt": round(float(ours[scored].mean()), 3),
        "nearest_prompt_mask": round(float(copied[scored].mean()), 3),
    }


def _segment(model: Any, batch: InContextBatch, embedding_type: str) -> Tensor:
    masks = batch.prompt_masks.float().unsqueeze(2).expand_as(batch.prompt_images)
    predicted = predict_canvas(
        model,
        normalise(batch.target),
        normalise(batch.prompt_images.flatten(0, 1)).reshape(batch.prompt_images.shape),
        normalise(masks.flatten(0, 1)).reshape(masks.shape),
        batch.weights,
        embedding_type,
    )
    return read_scores(predicted)


def dice_percent(first: Tensor, second: Tensor) -> Tensor:
    """Dice (0..100) per pair of masks (b, h, w); NaN where both are empty."""
    overlap = (first & second).sum(dim=(-2, -1))
    return 200.0 * overlap / (first.sum(dim=(-2, -1)) + second.sum(dim=(-2, -1)))
