"""Relative-position terms of the attention logits, and the logit of the collapsed padding key.

Notation: g real tokens and w window tokens per axis; (d, h, v) are a query's coordinates and (i, j, k) a
key's, along depth, height and width. Tables come gathered, `R[a, b] = table[a - b + w - 1]`, shape (w, w,
c). Queries are unscaled, as upstream.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

Tables = tuple[Tensor, Tensor, Tensor]


class Terms(NamedTuple):
    """What the logits get added.

    Attributes:
        own: per query, (n, heads, g**3, .) each: one value per key coordinate, and last, with padding,
            what the padding key's dot product gets added.
        rows: shared by the queries of a row (d, h): (n, heads, g**2, keys), or None.
    """

    own: list[Tensor]
    rows: Tensor | None


def upstream_terms(q: Tensor, tables: Tables, g: int, padding_query: Tensor | None) -> Terms:
    """The form released checkpoints were trained with.

    It adds `q[d,h,v]·Rd[d,k] + q[d,h,i]·Rh[h,k] + q[d,h,j]·Rw[j,k]` to the logit, where `q[d,h,i]` is the
    query found at column i of the row (d, h); with padding, columns g..w-1 hold the padding query. The first
    term belongs to a query, the other two to its row.

    Args:
        q: queries (n, heads, g**3, c).
        tables: gathered tables for depth, height, width.
        g: real tokens per axis.
        padding_query: query of a padding token (heads, c), or None when the window is not larger than the
            grid.

    Source: uni-medical/SAM-Med3D@f3de1fa10da9:segment_anything/modeling/image_encoder3D.py (behaviour only).
    """
    n, heads, _, c = q.shape
    grid = q.reshape(n, heads, g, g, g, c)
    table_d, table_h, table_w = tables
    own = torch.einsum("nadhvc,dkc->nadhvk", grid, table_d[:g])
    by_i = torch.einsum("nadhic,hkc->nadhik", grid, table_h[:g])
    by_j = torch.einsum("nadhjc,jkc->nadhjk", grid, table_w[:g])
    rows = (by_i[..., None, :g] + by_j[..., None, :, :g]).reshape(n, heads, g * g, g**3)
    per_query = [own[..., :g].reshape(n, heads, g**3, g)]
    if padding_query is None:
        return Terms(per_query, rows)

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
    return Terms([*per_query, sink.reshape(n, heads, g**3, 1)], torch.nn.functional.pad(rows, (0, 1)))


def decomposed_terms(q: Tensor, tables: Tables, g: int, padding_query: Tensor | None) -> Terms:
    """The textbook form `q·Rd[d,i] + q·Rh[h,j] + q·Rw[v,k]`; arguments as `upstream_terms`."""
    n, heads, _, c = q.shape
    grid = q.reshape(n, heads, g, g, g, c)
    terms = [
        torch.einsum(f"nadhvc,{axis}kc->nadhvk", grid, table[:g])
        for axis, table in zip("dhv", tables, strict=True)
    ]
    per_query = [term[..., :g].reshape(n, heads, g**3, g) for term in terms]
    if padding_query is None:
        return Terms(per_query, None)
    real_d, real_h, real_w = (_precise(term[..., :g]).logsumexp(-1) for term in terms)
    pad_d, pad_h, pad_w = (_precise(term[..., g:]).logsumexp(-1) for term in terms)
    all_h, all_w = torch.logaddexp(real_h, pad_h), torch.logaddexp(real_w, pad_w)
    # A padding key has its first padded coordinate along d, or along h, or along w.
    parts = [pad_d + all_h + all_w, real_d + pad_h + all_w, real_d + real_h + pad_w]
    sink = torch.stack(parts, -1).logsumexp(-1)
    return Terms([*per_query, sink.reshape(n, heads, g**3, 1)], None)


def _precise(x: Tensor) -> Tensor:
    """At least float32: sums of exponentials lose too much in half precision."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
