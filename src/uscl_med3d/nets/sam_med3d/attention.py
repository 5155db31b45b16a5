"""Encoder attention with relative positions, exact for windows that are larger than the token grid.

Windowed blocks pad the normalised tokens with zeros up to the window. A zero token has query, key and value
equal to the biases of the `qkv` layer, so all padding keys share one key and one value, and their part of the
softmax collapses to a single extra key with a computed logit. docs/encoder.md derives it.

The relative-position terms reach the logits in two ways. What belongs to one query and one key coordinate
becomes extra channels: the query carries the term, the keys carry a one-hot of the coordinate, and the matrix
product adds it. What a whole row of queries shares (`upstream` only) is added to the logits row by row.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uscl_med3d.nets.sam_med3d.config import RelativePosition
from uscl_med3d.nets.sam_med3d.relative_position import decomposed_terms, table_rows, upstream_terms
from uscl_med3d.nets.sam_med3d.row_attention import attend


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
        self.rel_pos_d: nn.Parameter
        self.rel_pos_h: nn.Parameter
        self.rel_pos_w: nn.Parameter
        self.table_rows: Tensor
        self.one_hot: Tensor
        self.heads, self.head_dim, self.grid, self.window = heads, dim // heads, grid, window
        self.relative_position = relative_position
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        for axis in "dhw":
            table = nn.Parameter(torch.zeros(2 * window - 1, self.head_dim))
            self.register_parameter(f"rel_pos_{axis}", table)
        real = min(grid, window)
        self.register_buffer("table_rows", table_rows(real, window), persistent=False)
        self.register_buffer("one_hot", self._one_hot_keys(real), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(b, g, g, g, dim) -> (b, g, g, g, dim)."""
        if self.window >= self.grid:
            return self.proj(self._attend(self.qkv(x), self.grid))
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
        """A grid larger than the window: partition, padding written out in the last window of each axis."""
        b, dim, w, g = x.shape[0], x.shape[-1], self.window, self.grid
        qkv, count = self.qkv(x), -(-g // w)
        side = count * w
        if side > g:
            full = self.padding_qkv(qkv.dtype).reshape(-1).expand(b, side, side, side, 3 * dim).clone()
            full[:, :g, :g, :g] = qkv
            qkv = full
        windows = qkv.reshape(b, count, w, count, w, count, w, 3 * dim).permute(0, 1, 3, 5, 2, 4, 6, 7)
        out = self._attend(windows.reshape(b * count**3, w, w, w, 3 * dim), w)
        out = out.reshape(b, count, count, count, w, w, w, dim).permute(0, 1, 4, 2, 5, 3, 6, 7)
        return out.reshape(b, side, side, side, dim)[:, :g, :g, :g]

    def _attend(self, qkv: Tensor, g: int) -> Tensor:
        """Attention of tokens (n, g, g, g, 3 * dim), with the collapsed padding key if the window has one."""
        n, heads, c = qkv.shape[0], self.heads, self.head_dim
        q, k, v = qkv.reshape(n, g**3, 3, heads, c).permute(2, 0, 3, 1, 4).unbind(0)
        padding = self.padding_qkv(qkv.dtype) if self.window > g else None
        if padding is not None:
            k = torch.cat([k, padding[1][None, :, None].expand(n, -1, -1, -1)], 2)
            v = torch.cat([v, padding[2][None, :, None].expand(n, -1, -1, -1)], 2)
        tables = (self.rel_pos_d, self.rel_pos_h, self.rel_pos_w)
        build = upstream_terms if self.relative_position == "upstream" else decomposed_terms
        terms = build(q, tables, self.table_rows, None if padding is None else padding[0])
        one_hot = self.one_hot.to(k.dtype).expand(n, heads, -1, -1)
        q = torch.cat([q * c**-0.5, *(term.to(q.dtype) for term in terms.own)], -1)
        out = attend(q, torch.cat([k, one_hot], -1), v, terms.rows)
        return out.transpose(1, 2).reshape(n, g, g, g, heads * c)

    def _one_hot_keys(self, g: int) -> Tensor:
        """Key channels that pick the query's terms: coordinates of real keys, and the padding key's own."""
        eye = torch.eye(g)
        axes = [eye.repeat(g * g, 1)]
        if self.relative_position == "decomposed":
            axes = [eye.repeat_interleave(g * g, 0), eye.repeat_interleave(g, 0).repeat(g, 1), *axes]
        keys = torch.cat(axes, 1)
        return torch.block_diag(keys, torch.ones(1, 1)) if self.window > g else keys
