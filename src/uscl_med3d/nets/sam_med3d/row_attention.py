"""Softmax attention whose logits get an addend shared by groups of consecutive queries."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_CHUNK = 1 << 17
"""Logits worked on at once: half a megabyte in float32, which stays in a core's second-level cache."""

_KEPT = 1 << 21
"""Softmax weights kept for the backward pass; more than these are computed again, which costs less than memory."""


def attend(q: Tensor, k: Tensor, v: Tensor, rows: Tensor | None) -> Tensor:
    """`softmax(q kᵀ + rows) v`.

    Args:
        q: queries (n, heads, t, e), already scaled.
        k: keys (n, heads, s, e).
        v: values (n, heads, s, c).
        rows: (n, heads, r, s), added to the logits of t / r consecutive queries each; None for nothing.

    Returns:
        (n, heads, t, c). On a CPU, `rows` takes a hand-written path: no fused kernel there gives a mask its
        gradient, and without gradient it is as fast and never holds the mask. Everything else is one
        `scaled_dot_product_attention`.
    """
    n, heads, t, _ = q.shape
    if rows is not None and q.device.type == "cpu" and n:
        out = _RowAttention.apply(*(x.flatten(0, 1) for x in (q, k, v, rows.to(q.dtype))))
        return out.unflatten(0, (n, heads))
    mask = None
    if rows is not None:
        group = t // rows.shape[2]
        mask = rows.to(q.dtype).unsqueeze(3).expand(-1, -1, -1, group, -1).reshape(n, heads, t, k.shape[2])
    # The fused kernels want values as wide as keys.
    wide = F.pad(v, (0, q.shape[-1] - v.shape[-1]))
    return F.scaled_dot_product_attention(q, k, wide, attn_mask=mask, scale=1.0)[..., : v.shape[-1]]


class _RowAttention(torch.autograd.Function):
    """Forward and backward in chunks of heads that fit the cache."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, rows: Tensor) -> Tensor:
        keep = any(ctx.needs_input_grad) and q.shape[0] * q.shape[1] * k.shape[1] <= _KEPT
        out, weights = q.new_empty(*q.shape[:2], v.shape[2]), []
        # The inputs have one type already; autocast would only change it in the middle.
        with torch.autocast("cpu", enabled=False):
            for part in _chunks(q, k):
                weight = _softmax(q[part], k[part], rows[part])
                torch.bmm(weight, v[part], out=out[part])
                if keep:
                    weights.append(weight)
        ctx.save_for_backward(q, k, v, rows, *weights)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        q, k, v, rows, *weights = ctx.saved_tensors
        grad_q, grad_k, grad_v, grad_rows = (torch.empty_like(x) for x in (q, k, v, rows))
        with torch.autocast("cpu", enabled=False):
            for index, part in enumerate(_chunks(q, k)):
                weight = weights[index] if weights else _softmax(q[part], k[part], rows[part])
                torch.bmm(weight.transpose(1, 2), grad[part], out=grad_v[part])
                grad_weight = torch.bmm(grad[part], v[part].transpose(1, 2))
                grad_logits = torch._softmax_backward_data(grad_weight, weight, -1, weight.dtype)
                torch.bmm(grad_logits, k[part], out=grad_q[part])
                torch.bmm(grad_logits.transpose(1, 2), q[part], out=grad_k[part])
                torch.sum(grad_logits.unflatten(1, (rows.shape[1], -1)), 2, out=grad_rows[part])
        return grad_q, grad_k, grad_v, grad_rows


def _softmax(q: Tensor, k: Tensor, rows: Tensor) -> Tensor:
    logits = torch.bmm(q, k.transpose(1, 2))
    logits.unflatten(1, (rows.shape[1], -1)).add_(rows.unsqueeze(2))
    return logits.softmax(-1)


def _chunks(q: Tensor, k: Tensor) -> list[slice]:
    step = max(1, _CHUNK // (q.shape[1] * k.shape[1]))
    return [slice(start, start + step) for start in range(0, q.shape[0], step)]
