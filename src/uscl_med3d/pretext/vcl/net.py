"""Student and teacher of the contextual-position task."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from uscl_med3d.pretext.vcl.head import VclHead
from uscl_med3d.pretext.vcl.losses import Embeddings, Form, Terms, vcl_terms


class Batch(NamedTuple):
    """Crops of b volumes: random (b, r, 1, s, s, s), base (b, n, 1, s, s, s), labels (b, r, n)."""

    random: Tensor
    base: Tensor
    labels: Tensor


class VclNet(nn.Module):
    """Encoder, mean over the token grid, projection head: (k, 1, s, s, s) -> (k, c)."""

    def __init__(self, encoder: nn.Module, head: VclHead) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def pool(self, crops: Tensor) -> Tensor:
        """What the head gets: (k, 1, s, s, s) -> (k, prompt_dim)."""
        return self.encoder(crops).mean((2, 3, 4))

    def forward(self, crops: Tensor) -> Tensor:
        return self.head(self.pool(crops))


class Teacher:
    """Moving average of what the student trains; everything frozen is the student's own, held once.

    Starts as a copy of the student.
    """

    def __init__(self, student: VclNet, momentum: float) -> None:
        self.student, self.momentum = student, momentum
        self.tensors = {
            name: value.detach().clone() for name, value in student.named_parameters() if value.requires_grad
        }

    @torch.no_grad()
    def update(self) -> None:
        """theta' <- m theta' + (1 - m) theta."""
        values = dict(self.student.named_parameters())
        for name, tensor in self.tensors.items():
            tensor.mul_(self.momentum).add_(values[name], alpha=1 - self.momentum)

    @torch.no_grad()
    def embed(self, crops: Tensor) -> Tensor:
        """As `VclNet`, with the teacher's tensors in place of the student's and without dropout."""
        training = self.student.training
        self.student.eval()
        try:
            return torch.func.functional_call(self.student, self.tensors, (crops,))
        finally:
            self.student.train(training)


def compute_terms(
    student: VclNet, teacher: Teacher, batch: Batch, form: Form, log_margin: float, update: bool
) -> Terms:
    """Losses of one batch.

    With `update` the teacher takes in the student's present weights after the student's pass and before its
    own, so an optimiser step reaches the teacher one batch later (paper: updated before use).

    In the form `paper` the teacher sees base crops only; in the form `code` both networks see all crops in
    one batch, which matters for a head with batch normalisation.
    """
    b, r = batch.random.shape[:2]
    student_embeddings = _split(student(_join(batch.random, batch.base)), b, r)
    if update:
        teacher.update()
    if form == "paper":
        base = _wide(teacher.embed(batch.base.flatten(0, 1))).unflatten(0, (b, -1))
        teacher_embeddings = Embeddings(base[:, :0], base)
    else:
        teacher_embeddings = _split(teacher.embed(_join(batch.random, batch.base)), b, r)
    # Mixed precision ends here: cosines in half precision would round small overlaps away.
    with torch.autocast(batch.labels.device.type, enabled=False):
        return vcl_terms(form, student_embeddings, teacher_embeddings, batch.labels, log_margin)


def _join(random: Tensor, base: Tensor) -> Tensor:
    return torch.cat([random.flatten(0, 1), base.flatten(0, 1)])


def _split(embedded: Tensor, b: int, r: int) -> Embeddings:
    embedded = _wide(embedded)
    return Embeddings(embedded[: b * r].unflatten(0, (b, r)), embedded[b * r :].unflatten(0, (b, -1)))


def _wide(embedded: Tensor) -> Tensor:
    """Cosines and losses are computed in float32 or wider whatever the network's precision was."""
    return embedded.float() if embedded.dtype in (torch.bfloat16, torch.float16) else embedded
