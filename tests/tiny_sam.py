"""Architectures of the tiny SAMs that tests build."""

from __future__ import annotations

from typing import Any

SHAPE: dict[str, Any] = {
    "image_size": 32,
    "patch_size": 8,
    "embed_dim": 16,
    "depth": 2,
    "num_heads": 2,
    "global_blocks": [1],
    "window_size": 2,
    "mlp_ratio": 2.0,
    "prompt_dim": 16,
    "mask_channels": 4,
    "decoder_mlp_dim": 16,
    "decoder_heads": 2,
    "decoder_depth": 1,
    "iou_head_depth": 2,
    "iou_head_dim": 8,
    "num_multimask_outputs": 3,
}
"""As in params/foundation, where SAM's own architecture says nothing of adapters."""

TWO_BLOCKS = SHAPE | {"adapter_ratio": None}
ONE_BLOCK = TWO_BLOCKS | {"depth": 1, "global_blocks": [0]}
SMALLEST = ONE_BLOCK | {"image_size": 16, "patch_size": 4}

SAM_MED3D: dict[str, Any] = {
    "image_size": 16,
    "patch_size": 8,
    "embed_dim": 24,
    "depth": 2,
    "num_heads": 2,
    "global_blocks": (1,),
    "window_size": 4,
    "mlp_ratio": 2.0,
    "prompt_dim": 48,
    "mask_channels": 4,
    "decoder_mlp_dim": 16,
    "decoder_heads": 2,
    "decoder_depth": 1,
    "iou_head_depth": 2,
    "iou_head_dim": 8,
    "num_multimask_outputs": 3,
    "relative_position": "upstream",
}
"""Of volumes, 2 x 2 x 2 tokens."""
