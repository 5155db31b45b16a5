"""Objects from clicks on a working volume: one crop around the first click, or overlapping crops for clicks far apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from uscl_med3d.clicks.crops import Origin, centre_crop_on, common_part, contains, cut, tile_crops, to_crop
from uscl_med3d.methods.base import ClickMethod

Click = tuple[int, int, int, int]
"""(d, h, w, label) in indices of the volume; label 1 object, 0 background."""

_OUTSIDE = -1.0


class Predictor:
    """A method on one volume; every crop is encoded once, whatever the number of objects, clicks and undos.

    Args:
        method: loaded.
        volume: raw intensities (d, h, w).
        size: side of the model's input.
        overlap: of neighbouring crops, as a fraction of the side.
    """

    def __init__(self, method: ClickMethod, volume: np.ndarray, size: int, overlap: float) -> None:
        self.method, self.volume, self.size, self.overlap = method, volume, size, overlap
        self._embeddings: dict[Origin, torch.Tensor] = {}

    def list_crops(self, clicks: Sequence[Click]) -> list[Origin]:
        """Crops that are predicted: the one around the first click if it holds all clicks, else all tiles with a click."""
        origin = centre_crop_on(clicks[0][:3], self.volume.shape, self.size)
        if all(contains(origin, self.size, click[:3]) for click in clicks):
            return [origin]
        tiles = tile_crops(self.volume.shape, self.size, self.overlap)
        # A crop with background clicks only has nothing to segment.
        return [
            at
            for at in tiles
            if any(click[3] == 1 and contains(at, self.size, click[:3]) for click in clicks)
        ]

    def predict(self, clicks: Sequence[Click]) -> np.ndarray:
        """Logits (d, h, w) after all clicks, in order; overlapping crops are averaged, the rest is background."""
        total = np.zeros(self.volume.shape, np.float32)
        count = np.zeros(self.volume.shape, np.float32)
        for origin in self.list_crops(clicks):
            given = [click for click in clicks if contains(origin, self.size, click[:3])]
            logits = self._predict_crop(origin, given)
            inside, outside = common_part(self.volume.shape, origin, logits.shape)
            total[outside] += logits[inside]
            count[outside] += 1
        return np.where(count > 0, total / np.maximum(count, 1), _OUTSIDE).astype(np.float32)

    def _predict_crop(self, origin: Origin, clicks: Sequence[Click]) -> np.ndarray:
        points = torch.tensor([[to_crop(click[:3], origin) for click in clicks]]).float()
        labels = torch.tensor([[click[3] for click in clicks]])
        with torch.inference_mode():
            state: Any = self.method.start(self._embed(origin))
            for count in range(1, len(clicks) + 1):
                logits = self.method.click(state, points[:, :count], labels[:, :count])
        return logits[0, 0].cpu().numpy()

    def _embed(self, origin: Origin) -> torch.Tensor:
        if origin not in self._embeddings:
            crop = cut(self.volume, origin, self.size, fill=0).astype(np.float32)
            self._embeddings[origin] = self.method.embed(torch.from_numpy(crop)[None, None])
        return self._embeddings[origin]
