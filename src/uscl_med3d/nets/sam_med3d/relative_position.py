"""Relative-position terms of the attention logits, and the logit of the collapsed padding key.

Notation: g real tokens and w window tokens per axis; (d, h, v) are a query's coordinates and (i, j, k) a
key's, along depth, height and width; `R[a, b]` is row a - b + w - 1 of a table (2 w - 1, c). Queries are
unscaled, as upstream.
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


def table_rows(g: int, w: int) -> Tensor:
    """Which rows of the three tables, laid one after another, meet each query: (g**3, 3 w).

    Columns are w key coordinates for the query's depth, then its height, then its width.
    """
    rows = _offsets(w)[:g]
    parts = [
        (rows + axis * (2 * w - 1)).reshape(*shape, w).expand(g, g, g, w)
        for axis, shape in enumerate([(g, 1, 1), (1, g, 1), (1, 1, g)])
    ]
    return torch.cat(parts, -1).reshape(g**3, 3 * w)


def upstream_terms(q: Tensor, tables: Tables, rows: Tensor, padding_query: Tensor | None) -> Terms:
    """The form released checkpoints were trained with.

    It adds `q[d,h,v]·Rd[d,k] + q[d,h,i]·Rh[h,k] + q[d,h,j]·Rw[j,k]` to the logit, where `q[d,h,i]` is the
    query found at column i of the row (d, h); with padding, columns g..w-1 hold the padding query. The first
    term belongs to a query, the other two to its row.

    Args:
        q: queries (n, heads, g**3, c).
        tables: relative-position tables (2 w - 1, c) for depth, height, width.
        rows: `table_rows(g, w)`.
        padding_query: query of a padding token (heads, c), or None when the window is not larger than the
            grid.

    Source: uni-medical/SAM-Med3D@f3de1fa10da9:segment_anything/modeling/image_encoder3D.py (behaviour only).
    """
    n, heads, count, _ = q.shape
    own, by_i, by_j = _products(q, tables, rows)
    g, w = own.shape[2], own.shape[-1]
    pairs = (by_i[..., None, :g] + by_j[..., None, :, :g]).reshape(n, heads, g * g, count)
    per_query = own[..., :g].reshape(n, heads, count, g)
    if padding_query is None:
        return Terms([per_query], pairs)

    own, by_i, by_j = _precise(own), _precise(by_i), _precise(by_j)
    offsets = _offsets(w).to(q.device)
    # Sums over keys in log space; every summand is positive, so nothing cancels.
    real_i, real_j = by_i.logsumexp(-2), by_j.logsumexp(-2)
    pad_i = _precise(torch.einsum("ac,hkc->ahk", padding_query, tables[1][offsets[:g]]))[:, None] + math.log(
        w - g
    )
    pad_j = _precise(torch.einsum("ac,jkc->ajk", padding_query, tables[2][offsets[g:]]))
    pad_j = pad_j.logsumexp(-2)[:, None, None]
    all_i, all_j = torch.logaddexp(real_i, pad_i), torch.logaddexp(real_j, pad_j)
    near = torch.logaddexp((pad_i + all_j)[..., :g], (real_i + pad_j)[..., :g])
    sums = torch.cat([near, (all_i + all_j)[..., g:]], -1)
    sink = (own + sums.unsqueeze(4)).logsumexp(-1).reshape(n, heads, count, 1)
    return Terms([per_query, sink], torch.nn.functional.pad(pairs, (0, 1)))


def decomposed_terms(q: Tensor, tables: Tables, rows: Tensor, padding_query: Tensor | None) -> Terms:
    """The textbook form `q·Rd[d,i] + q·Rh[h,j] + q·Rw[v,k]`; arguments as `upstream_terms`."""
    n, heads, count, _ = q.shape
    terms = _products(q, tables, rows)
    g = terms[0].shape[2]
    per_query = [term[..., :g].reshape(n, heads, count, g) for term in terms]
    if padding_query is None:
        return Terms(per_query, None)
    real_d, real_h, real_w = (_precise(term[..., :g]).logsumexp(-1) for term in terms)
    pad_d, pad_h, pad_w = (_precise(term[..., g:]).logsumexp(-1) for term in terms)
    all_h, all_w = torch.logaddexp(real_h, pad_h), torch.logaddexp(real_w, pad_w)
    # A padding key has its first padded coordinate along d, or along h, or along w.
    parts = [pad_d + all_h + all_w, real_d + pad_h + all_w, real_d + real_h + pad_w]
    sink = torch.stack(parts, -1).logsumexp(-1).reshape(n, heads, count, 1)
    return Terms([*per_query, sink], None)


def _products(q: Tensor, tables: Tables, rows: Tensor) -> tuple[Tensor, ...]:
    """Each query times the table rows of its depth, height and width: three of (n, heads, g, g, g, w).

    One matrix product with all rows, then a gather: fewer copies of the queries than one product per axis.
    """
    n, heads, count, _ = q.shape
    g = round(count ** (1 / 3))
    products = (q @ torch.cat(tables).T).gather(-1, rows.expand(n, heads, -1, -1))
    return products.reshape(n, heads, g, g, g, rows.shape[-1]).chunk(3, -1)


def _offsets(w: int) -> Tensor:
    """Row of a table for query coordinate a and key coordinate b, (w, w)."""
    steps = torch.arange(w)
    return steps[:, None] - steps[None, :] + w - 1


def _precise(x: Tensor) -> Tensor:
    """At least float32: sums of exponentials lose too much in half precision."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
