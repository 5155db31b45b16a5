"""Relative-position terms of the attention logits, and the logit of the collapsed padding key.

Notation as in attention.py: (d, h, v) are a query's coordinates, (i, j, k) a key's; g real tokens and w window tokens
per axis; tables are gathered, `R[a, b] = table[a - b + w - 1]`, shape (w, w, c). Queries are unscaled, as upstream.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

Tables = tuple[Tensor, Tensor, Tensor]


def upstream_bias(
    q: Tensor, tables: Tables, g: int, padding_query: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """The term released checkpoints were trained with: `q[d,h,v]·Rd[d,k] + q[d,h,i]·Rh[h,k] + q[d,h,j]·Rw[j,k]`.

    `q[d,h,i]` is the query found at column i of the row (d, h); with padding, columns g..w-1 hold the padding query.

    Args:
        q: queries (n, heads, g**3, c).
        tables: gathered tables for depth, height, width.
        g: real tokens per axis.
        padding_query: query of a padding token (heads, c), or None when the window is not larger than the grid.

    Returns:
        bias (n, heads, g**3, g**3), and what to add to the padding key's dot product (n, heads, g**3, 1) or None.

    Source: uni-medical/SAM-Med3D@f3de1fa10da9:segment_anything/modeling/image_encoder3D.py (behaviour only).
    """
    n, heads, _, c = q.shape
    rows = q.reshape(n, heads, g, g, g, c)
    table_d, table_h, table_w = tables
    own = torch.einsum("nadhvc,dkc->nadhvk", rows, table_d[:g])
    by_i = torch.einsum("nadhic,hkc->nadhik", rows, table_h[:g])
    by_j = torch.einsum("nadhjc,jkc->nadhjk", rows, table_w[:g])
    pairs = by_i[..., None, :g] + by_j[..., None, :, :g]
    bias = (own[..., None, None, :g] + pairs.unsqueeze(4)).reshape(n, heads, g**3, g**3)
    if padding_query is None:
        return bias, None

    own, by_i, by_j = _precise(own), _precise(by_i), _precise(by_j)
    w = table_d.shape[0]
    # Sums over keys in log space; every summand is positive, so nothing cancels.
    real_i, real_j = by_i.logsumexp(-2), by_j.logsumexp(-2)
    pad_i = _precise(torch.einsum("ac,hkc->ahk", padding_query, table_h[:g]))[:, None] + math.log(w - g)
    pad_j = _precise(torch.einsum("ac,jkc->ajk", padding_query, table_w[g:])).logsumexp(-2)[:, None, None]
    all_i, all_j = torch.logaddexp(real_i, pad_i), torch.logaddexp(real_j, pad_j)
    near = torch.logaddexp((pad_i + all_j)[..., :g], (real_i + pad_j)[..., :g])
    sums = torch.cat([near, (all_i + all_j)[..., g:]], -1)
    sink = (own + sums.unsqueeze(4)).logsumexp(-1)
    return bias, sink.reshape(n, heads, g**3, 1)


def decomposed_bias(
    q: Tensor, tables: Tables, g: int, padding_query: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """The textbook term `q·Rd[d,i] + q·Rh[h,j] + q·Rw[v,k]`; arguments and results as `upstream_bias`."""
    n, heads, _, c = q.shape
    rows = q.reshape(n, heads, g, g, g, c)
    terms = [
        torch.einsum(f"nadhvc,{axis}kc->nadhvk", rows, table[:g])
        for axis, table in zip("dhv", tables, strict=True)
    ]
    in_d, in_h, in_w = (term[..., :g] for term in terms)
    bias = in_d[..., :, None, None] + in_h[..., None, :, None] + in_w[..., None, None, :]
    bias = bias.reshape(n, heads, g**3, g**3)
    if padding_query is None:
        return bias, None
    real_d, real_h, real_w = (_precise(term[..., :g]).logsumexp(-1) for term in terms)
    pad_d, pad_h, pad_w = (_precise(term[..., g:]).logsumexp(-1) for term in terms)
    all_h, all_w = torch.logaddexp(real_h, pad_h), torch.logaddexp(real_w, pad_w)
    parts = [pad_d + all_h + all_w, real_d + pad_h + all_w, real_d + real_h + pad_w]
    return bias, torch.stack(parts, -1).logsumexp(-1).reshape(n, heads, g**3, 1)


def _precise(x: Tensor) -> Tensor:
    """At least float32: sums of exponentials lose too much in half precision."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
