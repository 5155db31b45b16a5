"""Image encoder of SAM: a ViT with windows and decomposed relative positions; optionally SAM-Med2D's adapters."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uscl_med3d.nets.sam.config import VitConfig
from uscl_med3d.nets.sam.layers import LayerNorm2d, strided_convolution
from uscl_med3d.nets.sam_med3d.layers import MLPBlock


class PatchEmbed(nn.Module):
    """Non-overlapping patches to tokens, (b, 3, h, w) -> (b, g, g, dim)."""

    def __init__(self, patch: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, kernel_size=patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        return strided_convolution(x.movedim(1, -1), self.proj)


class Attention(nn.Module):
    """Multi-head attention over a square of tokens with decomposed relative positions.

    The logit of query (h, w) and key (i, j) is q.k / sqrt(c) + q.Rh[h - i] + q.Rw[w - j], with q unscaled in
    the position terms. They are added by the same matrix product: the query carries its terms as extra
    channels, the key a one-hot of its row and column.

    Args:
        dim, heads: channels and attention heads. side: tokens per axis that attend to each other.
    """

    def __init__(self, dim: int, heads: int, side: int) -> None:
        super().__init__()
        self._offsets: Tensor
        self._one_hot: Tensor
        self.heads, self.head_dim, self.side = heads, dim // heads, side
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * side - 1, self.head_dim))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * side - 1, self.head_dim))
        at = torch.arange(side)
        self.register_buffer("_offsets", at[:, None] - at[None, :] + side - 1, persistent=False)
        eye = torch.eye(side)
        one_hot = torch.cat([eye.repeat_interleave(side, 0), eye.repeat(side, 1)], 1)
        self.register_buffer("_one_hot", one_hot, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, side, side, dim) -> the same."""
        n, s = x.shape[0], self.side
        qkv = self.qkv(x).reshape(n, s * s, 3, self.heads, self.head_dim)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        square = q.reshape(n, self.heads, s, s, self.head_dim)
        rows = torch.einsum("nahwc,hic->nahwi", square, self.rel_pos_h[self._offsets].to(q.dtype))
        columns = torch.einsum("nahwc,wjc->nahwj", square, self.rel_pos_w[self._offsets].to(q.dtype))
        terms = torch.cat([rows, columns], -1).reshape(n, self.heads, s * s, 2 * s)
        one_hot = self._one_hot.to(k.dtype).expand(n, self.heads, -1, -1)
        q = torch.cat([q * self.head_dim**-0.5, terms], -1)
        logits = q @ torch.cat([k, one_hot], -1).transpose(-2, -1)
        out = logits.softmax(-1) @ v
        return self.proj(out.transpose(1, 2).reshape(n, s, s, -1))


class Adapter(nn.Module):
    """SAM-Med2D's adapter: a channel gate, then a bottleneck in space, then a LayerNorm.

    Because its output is normalised, it is never zero, not even before training.

    Source: OpenGVLab/SAM-Med2D@bfd2b93b1158:segment_anything/modeling/image_encoder.py (behaviour only).
    """

    def __init__(self, dim: int, ratio: float) -> None:
        super().__init__()
        hidden = int(dim * ratio)
        self.norm = nn.LayerNorm(dim)
        self.channel = nn.Sequential(
            nn.Linear(dim, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, dim, bias=False), nn.Sigmoid()
        )
        self.spatial = nn.Sequential(
            nn.Conv2d(dim, dim, kernel_size=3, stride=2, padding=1, bias=False),
            nn.ReLU(),
            nn.ConvTranspose2d(dim, dim, kernel_size=4, stride=2, padding=1, bias=False),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, g, g, dim) -> the same."""
        gated = x * self.channel(x.mean((1, 2), keepdim=True))
        return self.norm(x + self.spatial(gated.movedim(-1, 1)).movedim(1, -1))


class Block(nn.Module):
    """Transformer block, pre-norm, (b, g, g, dim) -> the same.

    In a windowed block the normalised tokens are padded with zeros up to whole windows; padding tokens take part
    as keys, with key and value equal to the biases of `qkv`.
    """

    def __init__(self, config: VitConfig, is_global: bool) -> None:
        super().__init__()
        dim = config.embed_dim
        self.window = None if is_global else config.window_size
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, config.num_heads, self.window or config.grid)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = MLPBlock(dim, int(dim * config.mlp_ratio), nn.GELU())
        if config.adapter_ratio is not None:
            self.Adapter = Adapter(dim, config.adapter_ratio)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm1(x)
        x = x + (self.attn(normed) if self.window is None else self._attend_in_windows(normed, self.window))
        normed = self.norm2(x)
        out = x + self.mlp(normed)
        return out + self.Adapter(normed) if hasattr(self, "Adapter") else out

    def _attend_in_windows(self, x: Tensor, w: int) -> Tensor:
        b, g, _, c = x.shape
        count = -(-g // w)
        x = F.pad(x, (0, 0, 0, count * w - g, 0, count * w - g))
        x = x.reshape(b, count, w, count, w, c).transpose(2, 3).reshape(b * count * count, w, w, c)
        x = self.attn(x).reshape(b, count, count, w, w, c).transpose(2, 3)
        return x.reshape(b, count * w, count * w, c)[:, :g, :g]


class ImageEncoder(nn.Module):
    """(b, 3, s, s) normalised pixels -> (b, out_dim, g, g) embedding, official names.

    Source: facebookresearch/segment-anything@dca509fe793f:segment_anything/modeling/image_encoder.py
        (behaviour only).

    Raises:
        ValueError: for a shape other than the configured square.
    """

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.config = config
        dim, out = config.embed_dim, config.out_dim
        self.patch_embed = PatchEmbed(config.patch_size, dim)
        self.pos_embed = nn.Parameter(torch.zeros(1, config.grid, config.grid, dim))
        self.blocks = nn.ModuleList(
            Block(config, index in config.global_blocks) for index in range(config.depth)
        )
        self.neck = nn.Sequential(
            nn.Conv2d(dim, out, kernel_size=1, bias=False),
            LayerNorm2d(out),
            nn.Conv2d(out, out, kernel_size=3, padding=1, bias=False),
            LayerNorm2d(out),
        )

    def forward(self, x: Tensor) -> Tensor:
        side = self.config.image_size
        if x.dim() != 4 or tuple(x.shape[1:]) != (3, side, side):
            raise ValueError(f"the encoder takes images (b, 3, {side}, {side}), got {tuple(x.shape)}")
        x = self.patch_embed(x) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        layers = cast("tuple[nn.Conv2d, LayerNorm2d, nn.Conv2d, LayerNorm2d]", self.neck)
        narrow, norm1, mix, norm2 = layers
        x = norm1.channels_last(F.linear(x, narrow.weight.flatten(1)))
        return norm2(mix(x.movedim(-1, 1)))
