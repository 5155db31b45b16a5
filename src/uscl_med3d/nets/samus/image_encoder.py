"""Image encoder of SAMUS: SAM's ViT on overlapping patches, with adapters and a CNN branch beside it.

Source: xianlin7/SAMUS@030ed07cebe4:models/segment_anything_samus/modeling/image_encoder.py (behaviour only).
"""

from __future__ import annotations

import itertools
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uscl_med3d.nets.sam.config import VitConfig
from uscl_med3d.nets.sam.image_encoder import Block
from uscl_med3d.nets.sam.layers import LayerNorm2d
from uscl_med3d.nets.samus.config import SamusConfig


class Adapter(nn.Module):
    """Bottleneck with GELU, (..., dim) -> the same, with the input added if `skips`."""

    def __init__(self, dim: int, hidden: int, skips: bool) -> None:
        super().__init__()
        self.skips = skips
        self.D_fc1 = nn.Linear(dim, hidden)
        self.D_fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        narrow = self.D_fc2(F.gelu(self.D_fc1(x)))
        return x + narrow if self.skips else narrow


def _layers(c_in: int, c_out: int, *before: nn.Module, norm: bool = True) -> nn.Sequential:
    """Convolution 3 x 3, and with `norm` channel norm and GELU, after `before`; channels first."""
    convolution = nn.Conv2d(c_in, c_out, kernel_size=3, padding=1, bias=False)
    return nn.Sequential(*before, convolution, *([LayerNorm2d(c_out), nn.GELU()] if norm else []))


class SingleConv(nn.Module):
    """Convolution, channel norm, GELU: (b, c_in, h, w) -> (b, c_out, h, w)."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv = _layers(c_in, c_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Down(nn.Module):
    """Halve by the maximum, then convolve: (b, c_in, h, w) -> (b, c_out, h/2, w/2)."""

    def __init__(self, c_in: int, c_out: int, norm: bool) -> None:
        super().__init__()
        self.maxpool_conv = _layers(c_in, c_out, nn.MaxPool2d(2), norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        return self.maxpool_conv(x)


class CnnEmbed(nn.Module):
    """CNN branch: image (b, 3, s, s) -> features (b, g, g, dim)."""

    def __init__(self, widths: tuple[int, ...], dim: int) -> None:
        super().__init__()
        self.inc = SingleConv(3, widths[0])
        self.downs = nn.ModuleList(Down(a, b, norm=True) for a, b in itertools.pairwise((*widths, dim)))

    def forward(self, x: Tensor) -> Tensor:
        x = self.inc(x)
        for down in self.downs:
            x = down(x)
        return x.movedim(1, -1)


class PositionAdapter(nn.Module):
    """Table of positions (1, G, G, dim) -> (1, g, g, dim), halved as often as it takes."""

    def __init__(self, dim: int, halvings: int, norm: bool) -> None:
        super().__init__()
        self.downs = nn.ModuleList(Down(dim, dim, norm=norm) for _ in range(halvings))

    def forward(self, table: Tensor) -> Tensor:
        x = table.movedim(-1, 1)
        for down in self.downs:
            x = down(x)
        return x.movedim(1, -1)


class CrossBranchAttention(nn.Module):
    """Tokens attend to CNN features, both (b, g, g, dim) -> (b, g, g, dim)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.proj = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, tokens: Tensor, features: Tensor) -> Tensor:
        q, k, v = (
            layer(x).flatten(1, 2).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.q, tokens), (self.k, features), (self.v, features))
        )
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        return self.proj(attended.reshape(tokens.shape))


class GlobalBlock(Block):
    """SAM's global block with the components of SAMUS; tokens and CNN features in, both out."""

    def __init__(self, config: VitConfig, own: SamusConfig) -> None:
        super().__init__(config, is_global=True)
        dim = config.embed_dim
        self.scale = own.mlp_adapter_scale
        if "feature_adapters" in own.components:
            self.MLP_Adapter = Adapter(dim, int(dim * own.feature_adapter_ratio), skips=False)
        if "cross_branch_attention" in own.components:
            self.Space_Adapter = CrossBranchAttention(dim, config.num_heads)
            self.refine_Adapter = SingleConv(dim, dim)

    def exchange(self, x: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Tokens (b, g, g, dim) and CNN features (b, g, g, dim), or None without the branch."""
        normed = self.norm1(x)
        if features is not None and hasattr(self, "Space_Adapter"):
            normed = normed + self.Space_Adapter(normed, features)
            features = self.refine_Adapter(features.movedim(-1, 1)).movedim(1, -1)
        x = x + self.attn(normed)
        normed = self.norm2(x)
        out = x + self.mlp(normed)
        if hasattr(self, "MLP_Adapter"):
            out = out + self.scale * self.MLP_Adapter(normed)
        return out, features


class OverlappingPatchEmbed(nn.Module):
    """Overlapping patches to tokens, (b, 3, s, s) -> (b, g, g, dim); the image is enlarged bilinearly first."""

    def __init__(self, kernel: int, stride: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, kernel_size=kernel, stride=stride)
        self.grown = kernel - stride

    def forward(self, x: Tensor) -> Tensor:
        side = x.shape[-1] + self.grown
        x = F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)
        return self.proj(x).movedim(1, -1)


class SamusEncoder(nn.Module):
    """Grey image (b, 1, s, s) in 0..1, or the same in three channels -> (b, out_dim, g, g), official names.

    Raises:
        ValueError: for a shape other than the configured square.
    """

    def __init__(self, config: VitConfig, own: SamusConfig) -> None:
        super().__init__()
        self.config, self.own = config, own
        dim, out = config.embed_dim, config.out_dim
        self.patch_embed = OverlappingPatchEmbed(own.patch_kernel, config.patch_size, dim)
        adapts = "position_adapter" in own.components
        side = own.position_grid if adapts else config.grid
        self.pos_embed = nn.Parameter(torch.zeros(1, side, side, dim))
        if adapts:
            norm = own.position_layers == "official"
            self.post_pos_embed = PositionAdapter(dim, own.halvings(config.grid), norm)
        if "feature_adapters" in own.components:
            self.input_Adapter = Adapter(dim, int(dim * own.feature_adapter_ratio), skips=True)
        if "cnn_branch" in own.components:
            self.cnn_embed = CnnEmbed(own.cnn_widths, dim)
        self.blocks = nn.ModuleList(
            GlobalBlock(config, own) if index in config.global_blocks else Block(config, is_global=False)
            for index in range(config.depth)
        )
        self.neck = nn.Sequential(
            nn.Conv2d(dim, out, kernel_size=1, bias=False),
            LayerNorm2d(out),
            nn.Conv2d(out, out, kernel_size=3, padding=1, bias=False),
            LayerNorm2d(out),
        )

    def positions(self) -> Tensor:
        """What is added to the tokens, (1, g, g, dim)."""
        return self.post_pos_embed(self.pos_embed) if hasattr(self, "post_pos_embed") else self.pos_embed

    def forward(self, x: Tensor) -> Tensor:
        side = self.config.image_size
        if x.dim() != 4 or x.shape[1] not in (1, 3) or tuple(x.shape[2:]) != (side, side):
            raise ValueError(f"the encoder takes images (b, 1 or 3, {side}, {side}), got {tuple(x.shape)}")
        x = x.expand(-1, 3, -1, -1)
        features = self.cnn_embed(x) if hasattr(self, "cnn_embed") else None
        x = self.patch_embed(x)
        if hasattr(self, "input_Adapter"):
            x = self.input_Adapter(x)
        x = x + self.positions()
        for block in self.blocks:
            if isinstance(block, GlobalBlock):
                x, features = block.exchange(x, features)
            else:
                x = block(x)
        if features is not None:
            x = x + self.own.cnn_scale * features
        return cast(Tensor, self.neck(x.movedim(-1, 1)))
