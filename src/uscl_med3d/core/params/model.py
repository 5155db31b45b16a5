"""The architecture of SAM-Med3D, one field per field of `uscl_med3d.nets.sam_med3d.SamMed3DConfig`."""

from __future__ import annotations

from typing import Literal

from uscl_med3d.core.params.base import Section


class Model(Section):
    """See params.yaml, section `model`."""

    image_size: int
    patch_size: int
    embed_dim: int
    depth: int
    num_heads: int
    global_blocks: tuple[int, ...]
    window_size: int
    mlp_ratio: float
    prompt_dim: int
    mask_channels: int
    decoder_mlp_dim: int
    decoder_heads: int
    decoder_depth: int
    iou_head_depth: int
    iou_head_dim: int
    num_multimask_outputs: int
    relative_position: Literal["upstream", "decomposed"]
