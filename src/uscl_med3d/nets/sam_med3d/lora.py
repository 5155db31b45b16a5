"""Which layers LoRA adapts."""

from __future__ import annotations

import re
from typing import Literal

from torch import nn

_PATTERNS = {
    "encoder": r"image_encoder\.blocks\.\d+\.attn\.(qkv|proj)",
    "decoder": r"mask_decoder\.transformer\.(layers\.\d+\.\w*attn\w*|final_attn\w*)\.(q|k|v|out)_proj",
}


def lora_targets(model: nn.Module, modules: Literal["encoder", "decoder", "both"]) -> list[str]:
    """Sorted names of the linear layers to adapt, for peft's `LoraConfig(target_modules=...)`.

    Args:
        model: a SamMed3D.
        modules: `encoder` (query-key-value and output projections of every block), `decoder` (all four
            projections of every attention, the final one included), or `both`.

    Raises:
        ValueError: for another value of `modules`, or a model without such layers.
    """
    if modules != "both" and modules not in _PATTERNS:
        raise ValueError(f"modules must be encoder, decoder or both, got {modules!r}")
    patterns = list(_PATTERNS.values()) if modules == "both" else [_PATTERNS[modules]]
    names = sorted(
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and any(re.fullmatch(pattern, name) for pattern in patterns)
    )
    if not names:
        raise ValueError("no layers to adapt: give the SAM-Med3D model itself, before it is wrapped")
    return names
