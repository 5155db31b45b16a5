"""Encoder attention with relative positions, exact for windows that are larger than the token grid.

Windowed blocks pad the normalised tokens with zeros up to the window. A zero token has query, key and value equal to
the biases of the `qkv` layer, so all padding keys share one key and one value, and their part of the softmax
collapses to a single extra key with a computed logit. docs/encoder.md derives it.

Notation: g real tokens per axis, w window tokens per axis, c head channels; (d, h, v) are a query's coordinates and
(i, j, k) a key's, all along depth, height and width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uscl_med3d.nets.sam_med3d.config import RelativePosition
from uscl_med3d.nets.sam_med3d.relative_position import decomposed_bias, upstream_bias


class Attention(nn.Module):
    """Multi-head attention over a cubic grid of tokens, optionally in a window.

    Args:
        dim: channels.
        heads: attention heads.
        grid: real tokens per axis.
        window: window tokens per axis; equal to `grid` for a global block.
        relative_position: form of the relative-position term, see `SamMed3DConfig`.

    Source: uni-medical/SAM-Med3D@f3de1fa10da9:segment_anything/modeling/image_encoder3D.py (behaviour only).
    """

    def __init__(
        self, dim: int, heads: int, grid: int, window: int, relative_position: RelativePosition
    ) -> None:
        super().__init__()
        self.heads, self.head_dim, self.grid, self.window = heads, dim // heads, grid, window
        self.relative_position = relative_position
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        for axis in "dhw":
            table = nn.Parameter(torch.zeros(2 * window - 1, self.head_dim))
            self.register_parameter(f"rel_pos_{axis}", table)
        steps = torch.arange(window)
        self.register_buffer("offsets", steps[:, None] - steps[None, :] + window - 1, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(b, g, g, g, dim) -> (b, g, g, g, dim)."""
        if self.window >= self.grid:
            return self.proj(self._attend(self.qkv(x), real=self.grid))
        return self.proj(self._attend_in_windows(x))

    def padding_qkv(self, dtype: torch.dtype) -> Tensor:
        """Query, key and value (3, heads, c) of a padding token: the layer applied to zero.

        The layer is called rather than its bias read, so that any adapter wrapped around it keeps its say.
        """
        if type(self.qkv) is nn.Linear:
            row = self.qkv.bias
        else:
            row = self.qkv(self.rel_pos_d.new_zeros(1, self.heads * self.head_dim))
        return row.to(dtype).reshape(3, self.heads, self.head_dim)

    def _attend_in_windows(self, x: Tensor) -> Tensor:
        """Grids larger than the window: partition, with padding written out in the last window of each axis."""
        b, dim, w = x.shape[0], x.shape[-1], self.window
        count = -(-self.grid // w)
        qkv = self.qkv(x)
        pad = count * w - self.grid
        if pad:
            full = self.padding_qkv(qkv.dtype).reshape(-1).expand(b, *[count * w] * 3, 3 * dim).clone()
            full[:, : self.grid, : self.grid, : self.grid] = qkv
            qkv = full
        windows = qkv.reshape(b, count, w, count, w, count, w, 3 * dim).permute(0, 1, 3, 5, 2, 4, 6, 7)
        out = self._attend(windows.reshape(b * count**3, w, w, w, 3 * dim), real=w)
        out = out.reshape(b, count, count, count, w, w, w, dim).permute(0, 1, 4, 2, 5, 3, 6, 7)
        return out.reshape(b, *[count * w] * 3, dim)[:, : self.grid, : self.grid, : self.grid]

    def _attend(self, qkv: Tensor, real: int) -> Tensor:
        """Attention of `real`**3 tokens (n, g, g, g, 3 * dim), plus the collapsed padding key if the window has one."""
        n, tokens = qkv.shape[0], real**3
        q, k, v = qkv.reshape(n, tokens, 3, self.heads, self.head_dim).permute(2, 0, 3, 1, 4).unbind(0)
        padding = self.padding_qkv(qkv.dtype) if self.window > real else None
        tables = self._tables()
        build = upstream_bias if self.relative_position == "upstream" else decomposed_bias
        bias, sink = build(q, tables, real, None if padding is None else padding[0])
        if padding is not None:
            k = torch.cat([k, padding[1][None, :, None].expand(n, -1, -1, -1)], 2)
            v = torch.cat([v, padding[2][None, :, None].expand(n, -1, -1, -1)], 2)
            bias = torch.cat([bias, sink], -1)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        return out.transpose(1, 2).reshape(n, real, real, real, self.heads * self.head_dim)

    def _tables(self) -> tuple[Tensor, Tensor, Tensor]:
        """The three tables gathered to (query, key, c): entry [a, b] is table[a - b + window - 1]."""
        return self.rel_pos_d[self.offsets], self.rel_pos_h[self.offsets], self.rel_pos_w[self.offsets]
