"""FastSAM3D's image encoder: SAM-Med3D's parts, fewer blocks, some of them without attention."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from uscl_med3d.nets.fastsam3d.config import FastSam3DConfig
from uscl_med3d.nets.sam_med3d.attention import Attention
from uscl_med3d.nets.sam_med3d.image_encoder import ImageEncoder
from uscl_med3d.nets.sam_med3d.layers import MLPBlock


class SegmentAttention(Attention):
    """Attention within interleaved segments of the tokens; the relative-position tables exist, but are unused.

    Args:
        segments: tokens i, i + segments, i + 2 segments, ... form segment i.
        restored: put the tokens back; otherwise they stay segment by segment, so that what follows meets
            every token at another place of the grid.

    Source: arcadelab/FastSAM3D@226dfb5cdc80:segment_anything/modeling/image_encoder3D_dilatedattention.py
        (behaviour only; its half precision is left to autocast).
    """

    def __init__(self, config: FastSam3DConfig, window: int) -> None:
        super().__init__(
            config.embed_dim,
            config.num_heads,
            config.grid,
            window,
            relative_position=config.relative_position,
        )
        self.segments, self.restored = config.segments, config.token_order == "restored"

    def forward(self, x: Tensor) -> Tensor:
        """(b, g, g, g, dim) -> (b, g, g, g, dim)."""
        b, s, dim = x.shape[0], self.segments, x.shape[-1]
        qkv = self.qkv(x).reshape(b, -1, s, 3, self.heads, self.head_dim)
        q, k, v = qkv.permute(3, 0, 2, 4, 1, 5).flatten(1, 2).unbind(0)
        out = F.scaled_dot_product_attention(q, k, v)
        out = out.transpose(1, 2).reshape(b, s, -1, dim)
        out = out.transpose(1, 2) if self.restored else out
        return self.proj(out.reshape(x.shape))


class Block(nn.Module):
    """Transformer block, (b, g, g, g, dim) -> the same; without attention it has neither `norm1` nor `attn`."""

    def __init__(self, config: FastSam3DConfig, index: int) -> None:
        super().__init__()
        dim = config.embed_dim
        self.attends = index >= config.blocks_without_attention
        self.normalised = config.residual == "normalised"
        if self.attends:
            self.norm1 = nn.LayerNorm(dim, eps=1e-6)
            self.attn = _make_attention(config, config.window_of(index))
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = MLPBlock(dim, int(dim * config.mlp_ratio), nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        if self.attends:
            x = x + self.attn(self.norm1(x))
        normalised = self.norm2(x)
        return (normalised if self.normalised else x) + self.mlp(normalised)


class FastSam3DEncoder(ImageEncoder):
    """(b, 1, s, s, s) normalised voxels -> (b, prompt_dim, g, g, g) embedding; `list_outputs` returns more."""

    def __init__(self, config: FastSam3DConfig) -> None:
        super().__init__(config)
        self.config = config

    def forward(self, x: Tensor) -> Tensor:
        """The embedding alone."""
        return self.list_outputs(x)[-1]

    def list_outputs(self, x: Tensor) -> list[Tensor]:
        """What the public encoder returns.

        Returns:
            patches with positions (b, g, g, g, dim); the same after every `output_every`-th block; last the
            embedding (b, prompt_dim, g, g, g).
        """
        self._check(x)
        x = self.patch_embed(x) + self.pos_embed
        outputs = [x]
        for index, block in enumerate(self.blocks, 1):
            if self.activation_checkpointing and torch.is_grad_enabled():
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
            if index % self.config.output_every == 0:
                outputs.append(x)
        return [*outputs, self._apply_neck(x)]

    def _make_block(self, config: FastSam3DConfig, index: int) -> Block:
        return Block(config, index)


def _make_attention(config: FastSam3DConfig, window: int) -> Attention:
    if config.sparse_attention == "segments":
        return SegmentAttention(config, window)
    return Attention(config.embed_dim, config.num_heads, config.grid, window, config.relative_position)
