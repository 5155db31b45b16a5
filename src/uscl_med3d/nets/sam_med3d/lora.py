"""Which layers LoRA adapts."""

from __future__ import annotations

import re
from typing import Literal

from torch import nn

Layers = Literal["attention", "attention_and_mlp"]
_ATTENTION = {
    "encoder": r"image_encoder\.blocks\.\d+\.attn\.(qkv|proj)",
    "decoder": r"mask_decoder\.transformer\.(layers\.\d+\.\w*attn\w*|final_attn\w*)\.(q|k|v|out)_proj",
}
_MLP = {
    "encoder": r"image_encoder\.blocks\.\d+\.mlp\.lin[12]",
    "decoder": r"mask_decoder\.transformer\.layers\.\d+\.mlp\.lin[12]",
}


def lora_targets(
    model: nn.Module, modules: Literal["encoder", "decoder", "both"], layers: Layers = "attention"
) -> list[str]:
    """Sorted names of the linear layers to adapt, for peft's `LoraConfig(target_modules=...)`.

    Args:
        model: a SamMed3D.
        modules: `encoder` (query-key-value and output projections of every block), `decoder` (all four
            projections of every attention, the final one included), or `both`.
        layers: `attention` (the paper's), or the two linear layers of every block's MLP as well.

    Raises:
        ValueError: for another value of `modules`, or a model without such layers.
    """
    if modules != "both" and modules not in _ATTENTION:
        raise ValueError(f"modules must be encoder, decoder or both, got {modules!r}")
    kinds = [_ATTENTION] if layers == "attention" else [_ATTENTION, _MLP]
    parts = list(_ATTENTION) if modules == "both" else [modules]
    patterns = [kind[part] for kind in kinds for part in parts]
    names = sorted(
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and any(re.fullmatch(pattern, name) for pattern in patterns)
    )
    if not names:
        raise ValueError("no layers to adapt: give the SAM-Med3D model itself, before it is wrapped")
    return names
