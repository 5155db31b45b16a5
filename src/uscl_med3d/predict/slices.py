"""Embedded slices of a volume, for methods that work slice by slice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from uscl_med3d.methods.base import SliceMethod

EMBEDDED_AT_ONCE = 16  # slices; only memory depends on it


class SliceEmbeddings:
    """Embeddings of the slices of one volume at a time: each slice is embedded once for all its classes."""

    def __init__(self, method: SliceMethod) -> None:
        self.method = method
        self.volume: np.ndarray | None = None
        self.images = torch.empty(0)
        self.known: dict[int, Tensor] = {}

    def embed(self, volume: np.ndarray, slices: Sequence[int]) -> Tensor:
        """Embeddings (n, ...) of the named slices of a volume (d, h, w)."""
        if volume is not self.volume:
            self.volume, self.known = volume, {}
            self.images = self.method.prepare(torch.from_numpy(volume.astype(np.float32)))
        missing = [index for index in slices if index not in self.known]
        for start in range(0, len(missing), EMBEDDED_AT_ONCE):
            part = missing[start : start + EMBEDDED_AT_ONCE]
            self.known |= dict(zip(part, self.method.embed(self.images[part]), strict=True))
        return torch.stack([self.known[index] for index in slices])
