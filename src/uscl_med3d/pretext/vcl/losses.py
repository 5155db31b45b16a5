"""Losses of the contextual-position task, in the paper's form and in the form of VoCo's public code.

Shapes: r random crops, n base crops, c channels; any leading axes are volumes.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Form = Literal["paper", "code"]


class Embeddings(NamedTuple):
    """Projected crops of a batch: random (b, r, c) and base (b, n, c)."""

    random: Tensor
    base: Tensor


class Terms(NamedTuple):
    """Loss terms (scalars, `total` is the sum of the other two) and the logits (b, r, n)."""

    total: Tensor
    prediction: Tensor
    regularisation: Tensor
    logits: Tensor


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosine similarity of every pair, (..., r, c), (..., n, c) -> (..., r, n). Equations 1, 2 and 5."""
    return F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).transpose(-1, -2)


def paper_prediction(labels: Tensor, logits: Tensor, log_margin: float) -> Tensor:
    """Equations 3 and 4 per random crop: -(1/n) sum_i log(1 - d_i), d_i = |y_i - l_i|; (..., n) -> (...).

    A negative cosine can make d_i reach 1 and more (up to 2), where the equation is undefined. Beyond d = 1 -
    `log_margin` we continue with the tangent at that point: the loss stays finite and continuous, and the
    worst predictions keep the largest gradient, 1 / `log_margin`. A clamp would give them none.
    """
    distance = (labels - logits).abs()
    edge = 1 - log_margin
    inside = -torch.log1p(-distance.clamp(max=edge))
    beyond = (distance - edge).clamp(min=0) / log_margin
    return (inside + beyond).mean(-1)


def paper_regularisation(base: Tensor) -> Tensor:
    """Equation 6 per volume: mean over pairs i < j of |cosine(z_i, z_j)|, (..., n, c) -> (...)."""
    return _pairs(cosine(base, base)).abs().mean(-1)


def code_prediction(labels: Tensor, logits: Tensor) -> Tensor:
    """VoCo's weighted terms per volume, (..., r, n) -> (...).

    sum of -y log(1 - |y - l| + 1e-6) over the sum of y, plus the mean of l^2 where y = 0.
    Source: Luffy03/VoCo@ba7b7bd22e98:models/voco_head.py (behaviour only).
    """
    tiny = 1e-6
    positive = -labels * torch.log(1 - (labels - logits).abs() + tiny)
    apart = (labels == 0).to(logits.dtype)
    negative = (apart * logits.square()).sum((-1, -2)) / (apart.sum((-1, -2)) + tiny)
    return positive.sum((-1, -2)) / (labels.sum((-1, -2)) + tiny) + negative


def code_regularisation(base: Tensor) -> Tensor:
    """VoCo's term per volume: mean over pairs i < j of relu(cosine)^2, (..., n, c) -> (...).

    The gradient flows through z_i only.
    Source: Luffy03/VoCo@ba7b7bd22e98:models/voco_head.py (behaviour only).
    """
    return _pairs(cosine(base, base.detach()).relu()).square().mean(-1)


def vcl_terms(
    form: Form, student: Embeddings, teacher: Embeddings, labels: Tensor, log_margin: float
) -> Terms:
    """L = L_pred + L_reg, each averaged over random crops and volumes.

    Args:
        form: `paper`: logits are cosine(student random, teacher base). `code`: the mean of relu(cosine) in
        both
            directions, so the teacher's random crops are needed too.
        student, teacher: embeddings; no gradient flows into the teacher's.
        labels: overlap fractions (b, r, n).
        log_margin: see `paper_prediction`; without effect in the form `code`.
    """
    logits = vcl_logits(form, student, teacher)
    if form == "paper":
        prediction = paper_prediction(labels, logits, log_margin).mean()
        regularisation = paper_regularisation(student.base).mean()
    else:
        prediction = code_prediction(labels, logits).mean()
        regularisation = code_regularisation(student.base).mean()
    return Terms(prediction + regularisation, prediction, regularisation, logits)


def vcl_logits(form: Form, student: Embeddings, teacher: Embeddings) -> Tensor:
    """Predicted overlap of every random crop with every base crop, (b, r, n)."""
    forth = cosine(student.random, teacher.base.detach())
    if form == "paper":
        return forth
    back = cosine(teacher.random.detach(), student.base)
    return (forth.relu() + back.relu()) / 2


def constant_prediction_loss(form: Form, labels: Tensor, log_margin: float) -> float:
    """Prediction loss of the best image-blind guess: one number for all logits; labels (b, r, n)."""
    guesses = torch.linspace(0, 1, 101, dtype=torch.float64)
    losses = []
    for guess in guesses:
        logits = guess.expand(labels.shape)
        if form == "paper":
            losses.append(paper_prediction(labels.double(), logits, log_margin).mean())
        else:
            losses.append(code_prediction(labels.double(), logits).mean())
    return float(torch.stack(losses).min())


def _pairs(square: Tensor) -> Tensor:
    """Entries above the diagonal, (..., n, n) -> (..., n (n - 1) / 2)."""
    n = square.shape[-1]
    i, j = torch.triu_indices(n, n, 1, device=square.device)
    return square[..., i, j]
