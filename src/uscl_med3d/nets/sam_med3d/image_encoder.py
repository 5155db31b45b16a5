"""Image encoder: patches, transformer blocks, neck."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from uscl_med3d.nets.sam_med3d.attention import Attention
from uscl_med3d.nets.sam_med3d.config import SamMed3DConfig
from uscl_med3d.nets.sam_med3d.layers import LayerNorm3d, MLPBlock, strided_convolution

if TYPE_CHECKING:
    from uscl_med3d.nets.fastsam3d.config import FastSam3DConfig


class PatchEmbed(nn.Module):
    """Non-overlapping patches to tokens, (b, 1, d, h, w) -> (b, g, g, g, dim)."""

    def __init__(self, patch: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv3d(1, dim, kernel_size=patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        return strided_convolution(x.movedim(1, -1), self.proj)


class Block(nn.Module):
    """Transformer block, pre-norm, (b, g, g, g, dim) -> the same."""

    def __init__(self, config: SamMed3DConfig, is_global: bool) -> None:
        super().__init__()
        dim = config.embed_dim
        window = config.grid if is_global else config.window_size
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, config.num_heads, config.grid, window, config.relative_position)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = MLPBlock(dim, int(dim * config.mlp_ratio), nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ImageEncoder(nn.Module):
    """(b, 1, s, s, s) normalised voxels -> (b, prompt_dim, g, g, g) embedding.

    Attributes:
        activation_checkpointing: recompute block activations in the backward pass instead of keeping them.

    Raises:
        ValueError: for a shape other than the configured cube, or voxels that are NaN or infinite.
    """

    def __init__(self, config: SamMed3DConfig | FastSam3DConfig) -> None:
        super().__init__()
        self.image_size, self.activation_checkpointing = config.image_size, False
        dim, out = config.embed_dim, config.prompt_dim
        self.patch_embed = PatchEmbed(config.patch_size, dim)
        self.pos_embed = nn.Parameter(torch.zeros(1, *[config.grid] * 3, dim))
        self.blocks = nn.ModuleList(self._make_block(config, index) for index in range(config.depth))
        self.neck = nn.Sequential(
            nn.Conv3d(dim, out, kernel_size=1, bias=False),
            LayerNorm3d(out),
            nn.Conv3d(out, out, kernel_size=3, padding=1, bias=False),
            LayerNorm3d(out),
        )
        if config.relative_position == "decomposed":
            # Names and shapes are the same in both modes, but the weights mean different things: this marker
            # travels with the weights and makes a strict load across modes fail.
            self.register_buffer("decomposed_relative_position", torch.ones((), dtype=torch.uint8))

    def forward(self, x: Tensor) -> Tensor:
        self._check(x)
        x = self.patch_embed(x) + self.pos_embed
        for block in self.blocks:
            if self.activation_checkpointing and torch.is_grad_enabled():
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        return self._apply_neck(x)

    def _make_block(self, config: Any, index: int) -> nn.Module:
        return Block(config, index in config.global_blocks)

    def _apply_neck(self, x: Tensor) -> Tensor:
        layers = cast("tuple[nn.Conv3d, LayerNorm3d, nn.Conv3d, LayerNorm3d]", self.neck)
        narrow, norm1, mix, norm2 = layers
        x = norm1.channels_last(F.linear(x, narrow.weight.flatten(1)))
        x = mix(x.movedim(-1, 1)).movedim(1, -1)
        return norm2.channels_last(x).movedim(-1, 1)

    def _check(self, x: Tensor) -> None:
        side = self.image_size
        if x.dim() != 5 or tuple(x.shape[1:]) != (1, side, side, side):
            raise ValueError(
                f"the encoder takes volumes of shape (batch, 1, {side}, {side}, {side}), got "
                f"{tuple(x.shape)}: its position tables are cubic, so crop or pad the volume to that cube"
            )
        # One pass over the voxels; a sum that overflows although all of them are finite gets a closer look.
        if not torch.isfinite(x.sum()) and not torch.isfinite(x).all():
            raise ValueError("the volume has NaN or infinite voxels; replace them before encoding")
