"""SegGPT's proposal for one sweep: a score volume per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from uscl_med3d.nets.seggpt import image_size, predict_canvas, prepare_frames, prepare_masks, read_scores
from uscl_med3d.propagation.prompts import choose_prompts, weigh_prompts


class PromptRules(Protocol):
    """How many key frames prompt a frame, how they are weighted, and how many frames go through at once."""

    @property
    def prompts(self) -> int: ...
    @property
    def prompt_weights(self) -> str: ...
    @property
    def batch_frames(self) -> int: ...


@torch.no_grad()
def propose_scores(
    model: Any,
    embedding_type: str,
    image: np.ndarray,
    key_masks: Mapping[int, np.ndarray],
    settings: PromptRules,
    wanted: Sequence[int] | None = None,
) -> dict[int, np.ndarray]:
    """Scores (d, h, w) in 0..1 per annotated label, one binary SegGPT pass per class.

    Args:
        image: grey values (d, h, w).
        key_masks: label map (h, w) of each prompt key frame; 255 is "not annotated" and counts as background.
        wanted: frames to predict; the others get score 0. None: all.

    Prompt key frames have their own mask as score. A frame none of whose prompts shows the class has score 0
    without asking the model: there is nothing to follow.
    """
    device = next(model.parameters()).device
    size_hw = image_size(model)
    frames = prepare_frames(torch.from_numpy(image).to(device), size_hw)
    labels = sorted(set().union(*(np.unique(mask).tolist() for mask in key_masks.values())) - {0, 255})
    keys = sorted(key_masks)
    frames_to_predict = range(len(image)) if wanted is None else sorted(wanted)
    targets = [frame for frame in frames_to_predict if frame not in key_masks]
    chosen = {frame: choose_prompts(frame, keys, settings.prompts) for frame in targets}
    scores = {}
    for label in labels:
        binary = np.stack([key_masks[key] == label for key in keys])
        masks = prepare_masks(torch.from_numpy(binary).to(device), size_hw)
        volume = np.zeros(image.shape, dtype=np.float32)
        volume[keys] = binary
        shown = {key for key, mask in zip(keys, binary, strict=True) if mask.any()}
        asked = [frame for frame in targets if shown & set(chosen[frame])]
        for start in range(0, len(asked), settings.batch_frames):
            batch = asked[start : start + settings.batch_frames]
            groups = {frame: chosen[frame] for frame in batch}
            predicted = _predict_frames(model, embedding_type, frames, masks, keys, groups, settings)
            on_grid = F.interpolate(
                read_scores(predicted)[:, None],
                image.shape[1:],
                mode="bilinear",
                antialias=True,
                align_corners=False,
            )
            volume[batch] = on_grid[:, 0].clamp(0, 1).cpu().numpy()
        scores[label] = volume
    return scores


def _predict_frames(
    model: Any,
    embedding_type: str,
    frames: Tensor,
    masks: Tensor,
    keys: Sequence[int],
    groups: Mapping[int, Sequence[int]],
    settings: PromptRules,
) -> Tensor:
    """Canvases of some frames, see `predict_canvas`.

    Args:
        frames: all prepared frames. masks: prepared masks of the key frames `keys`, in their order.
        groups: each frame to predict, and the key frames that prompt it.
    """
    device = frames.device
    rows = torch.tensor([[keys.index(key) for key in prompts] for prompts in groups.values()], device=device)
    weights = np.stack(
        [weigh_prompts(frame, prompts, settings.prompt_weights) for frame, prompts in groups.items()]
    )
    return predict_canvas(
        model,
        frames[torch.tensor(list(groups), device=device)],
        frames[torch.tensor(list(groups.values()), device=device)],
        masks[rows],
        torch.from_numpy(weights).float().to(device),
        embedding_type,
    )


def combine_classes(scores: Mapping[int, np.ndarray], threshold: float, shape: tuple[int, ...]) -> np.ndarray:
    """Label volume: the class with the greatest score above `threshold`, else background (ties: the lower
    label)."""
    labels = np.zeros(shape, dtype=np.uint8)
    best = np.full(shape, threshold, dtype=np.float32)
    for label in sorted(scores):
        wins = scores[label] > best
        labels[wins] = label
        best[wins] = scores[label][wins]
    return labels
