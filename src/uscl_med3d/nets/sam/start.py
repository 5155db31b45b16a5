"""Starting a relative of SAM from SAM's weights: which tensors it takes over, resizes, drops, or leaves random."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch.nn.functional as F
from torch import Tensor, nn

Rename = Callable[[str], str | None]


def start_from_sam(
    network: nn.Module, state: Mapping[str, Tensor], rename: Rename, left_random: tuple[str, ...]
) -> list[str]:
    """Fill in what SAM's weights give, in place. Tables of positions and offsets are resized bilinearly.

    Args:
        state: tensors of SAM under its own names, ViT of the same width.
        rename: SAM's name -> the network's, or None for a tensor that it does not take.
        left_random: starts of the network's names that may have another shape and then stay as they are.

    Returns:
        Names of the network's tensors that keep their start, sorted.

    Raises:
        ValueError: when a tensor does not fit; all of them are named.
    """
    own = network.state_dict()
    given: dict[str, Tensor] = {}
    wrong = []
    for source, value in state.items():
        name = rename(source)
        if name is None:
            continue
        if name not in own:
            wrong.append(f"{source}: unknown")
            continue
        fitted = fit_table(value, own[name].shape) if _is_table(source) else value
        if fitted.shape == own[name].shape:
            given[name] = fitted
        elif not name.startswith(left_random):
            wrong.append(f"{source}: {tuple(value.shape)}, expected {tuple(own[name].shape)}")
    if wrong:
        raise ValueError("these tensors of SAM do not fit: " + "; ".join(sorted(wrong)))
    network.load_state_dict(own | given, strict=True)
    return sorted(own.keys() - given.keys())


def fit_table(value: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A table of offsets (length, c) or positions (1, g, g, c), resized bilinearly if it has another length."""
    if value.shape == tuple(shape) or value.shape[-1] != shape[-1]:
        return value
    if value.dim() == 2:
        resized = F.interpolate(value[None, None], size=tuple(shape), mode="bilinear", align_corners=False)
        return resized[0, 0]
    resized = F.interpolate(value.movedim(-1, 1), size=shape[1:3], mode="bilinear", align_corners=False)
    return resized.movedim(1, -1)


def _is_table(name: str) -> bool:
    return "rel_pos" in name or name.endswith("pos_embed")
