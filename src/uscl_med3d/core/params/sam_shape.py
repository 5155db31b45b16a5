"""The numbers of a SAM, of slices or of volumes."""

from __future__ import annotations

from uscl_med3d.core.params.base import Section


class SamShape(Section):
    """What the networks of the SAM family share: encoder, prompt encoder and mask decoder.

    The networks check that the numbers fit together (`nets.sam.config`, `nets.sam_med3d.config`).
    """

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
