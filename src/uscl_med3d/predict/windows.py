"""Prediction on overlapping crops that cover a volume."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from uscl_med3d.clicks.crops import Origin, common_part, contains, cut, tile_crops, to_crop
from uscl_med3d.clicks.simulators import Click
from uscl_med3d.methods.base import ClickMethod
from uscl_med3d.predict.crops import Region


class SlidingPrediction:
    """One volume covered by overlapping crops: a click goes to every crop that contains it.

    Crops without a click stay background and are never encoded; where crops overlap, their logits are
    averaged.
    """

    def __init__(self, method: ClickMethod, volume: np.ndarray, size: int, overlap: float) -> None:
        self.method, self.volume, self.size = method, volume, size
        self.origins = tile_crops(volume.shape, size, overlap)
        self.states: dict[Origin, object] = {}
        self.logits: dict[Origin, np.ndarray] = {}

    def predict(self, clicks: Sequence[Click | None]) -> Region:
        """The mask after all clicks so far, given in volume indices."""
        given = [click for click in clicks if click]
        if clicks[-1] is not None:
            for origin in self.origins:
                if contains(origin, self.size, clicks[-1][:3]):
                    self._predict_crop(
                        origin, [click for click in given if contains(origin, self.size, click[:3])]
                    )
        total, count = np.zeros(self.volume.shape), np.zeros(self.volume.shape)
        for origin, logits in self.logits.items():
            _add(total, logits, origin)
            _add(count, np.ones_like(logits), origin)
        return Region((0, 0, 0), total / np.maximum(count, 1) > 0)

    def _predict_crop(self, origin: Origin, clicks: Sequence[Click]) -> None:
        with torch.inference_mode():
            if origin not in self.states:
                crop = cut(self.volume, origin, self.size, fill=0).astype(np.float32)
                self.states[origin] = self.method.encode(torch.from_numpy(crop)[None, None])
            points = torch.tensor([[to_crop(click[:3], origin) for click in clicks]]).float()
            labels = torch.tensor([[click[3] for click in clicks]])
            self.logits[origin] = self.method.click(self.states[origin], points, labels)[0, 0].cpu().numpy()


def _add(total: np.ndarray, values: np.ndarray, origin: Origin) -> None:
    inside, outside = common_part(total.shape, origin, values.shape)
    total[outside] += values[inside]
