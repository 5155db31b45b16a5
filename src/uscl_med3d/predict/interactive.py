"""Objects from clicks on a working volume: one crop around the first click, or overlapping crops for clicks far apart."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from uscl_med3d.clicks.crops import Origin, common_part, contains, cut, tile_crops, to_crop
from uscl_med3d.methods.base import ClickMethod

Click = tuple[int, int, int, int]
"""(d, h, w, label) in indices of the volume; label 1 object, 0 background."""

_OUTSIDE = -1.0
MASK_LOGIT = 8.0
"""Size of the logits that a given mask becomes: as sure as a decoder is of the inside of what it found."""
_KEPT_STATES = 512
_KEPT_LOGITS = 16
_KEPT_EMBEDDINGS = 64


@dataclass(frozen=True, eq=False)
class GivenMask:
    """What an object is before its first click: `logits` (d, h, w) on the volume, MASK_LOGIT or its negative."""

    logits: np.ndarray


class Predictor:
    """A method on one volume that remembers: a crop is encoded once, and a click is decoded once.

    What the decoder knows after some clicks in a crop is kept under these clicks, so that one more click costs one
    decoding, and undo, redo, reset and another object cost nothing that was done before. Numbers are those of a
    prediction from the start.

    Args:
        method: loaded.
        volume: raw intensities (d, h, w).
        size: side of the model's input.
        overlap: of neighbouring crops, as a fraction of the side.
    """

    def __init__(self, method: ClickMethod, volume: np.ndarray, size: int, overlap: float) -> None:
        self.method, self.volume, self.size, self.overlap = method, volume, size, overlap
        self._embeddings: OrderedDict[Any, torch.Tensor] = OrderedDict()
        self._states: OrderedDict[Any, Any] = OrderedDict()
        self._logits: OrderedDict[Any, np.ndarray] = OrderedDict()

    def list_crops(self, clicks: Sequence[Click], mask: GivenMask | None = None) -> list[Origin]:
        """Crops that are predicted: the one around the first click if it holds all clicks, else all tiles with a click."""
        origin = self.method.place_crop(clicks[0][:3], clicks[0][:3], self.volume.shape, self.size)
        if all(contains(origin, self.size, click[:3]) for click in clicks):
            return [origin]
        tiles = tile_crops(self.volume.shape, self.size, self.overlap)
        # A crop with background clicks only has nothing to segment, unless a mask is there to be corrected.
        return [
            at
            for at in tiles
            if any((click[3] == 1 or mask) and contains(at, self.size, click[:3]) for click in clicks)
        ]

    def predict(self, clicks: Sequence[Click], mask: GivenMask | None = None) -> np.ndarray:
        """Logits (d, h, w) after all clicks, in order; overlapping crops are averaged, the rest is background.

        mask: what the object was before the first click; the decoder starts from it.

        Raises:
            ValueError: where the method's decoder takes no mask.
        """
        crops = self.list_crops(clicks, mask)
        if len(crops) == 1:  # nothing to average: a further click on a large grid is to take no time for it
            result = np.full(self.volume.shape, _OUTSIDE, np.float32)
            logits = self._predict_crop(crops[0], self._given(crops[0], clicks), mask)
            inside, outside = common_part(self.volume.shape, crops[0], logits.shape)
            result[outside] = logits[inside]
            return result
        total = np.zeros(self.volume.shape, np.float32)
        count = np.zeros(self.volume.shape, np.float32)
        for origin in crops:
            logits = self._predict_crop(origin, self._given(origin, clicks), mask)
            inside, outside = common_part(self.volume.shape, origin, logits.shape)
            total[outside] += logits[inside]
            count[outside] += 1
        return np.where(count > 0, total / np.maximum(count, 1), _OUTSIDE).astype(np.float32)

    def quality(self, clicks: Sequence[Click], mask: GivenMask | None = None) -> float | None:
        """The decoder's own estimate of the IoU of `predict`, the mean over crops; None where a method makes none."""
        found = []
        for origin in self.list_crops(clicks, mask):
            state = self._state(origin, self._given(origin, clicks), mask)
            estimate = getattr(state, "quality", None)
            if estimate is None:
                return None
            found.append(float(estimate.mean()))
        return float(np.mean(found)) if found else None

    def _given(self, origin: Origin, clicks: Sequence[Click]) -> tuple[Click, ...]:
        return tuple(click for click in clicks if contains(origin, self.size, click[:3]))

    def _predict_crop(self, origin: Origin, clicks: tuple[Click, ...], mask: GivenMask | None) -> np.ndarray:
        key = (origin, mask, clicks)
        if key not in self._logits:
            # Logits are not kept with a state, so its last click is decoded again.
            self._states.pop(key, None)
            self._state(origin, clicks, mask)
        self._logits.move_to_end(key)
        return self._logits[key]

    def _state(self, origin: Origin, clicks: tuple[Click, ...], mask: GivenMask | None) -> Any:
        """What the decoder knows after `clicks`, from the longest beginning of them that is known."""
        known = len(clicks)
        while known and (origin, mask, clicks[:known]) not in self._states:
            known -= 1
        points = torch.tensor([[to_crop(click[:3], origin) for click in clicks]]).float()
        labels = torch.tensor([[click[3] for click in clicks]])
        with torch.inference_mode():
            if known:
                state = self._states[origin, mask, clicks[:known]]
            else:
                state = self.method.start(self._embed(origin))
                if mask is not None:
                    self._start_from(state, origin, mask)
            for count in range(known + 1, len(clicks) + 1):
                # Methods replace what a state holds, so the one before stays as it is.
                state = copy.copy(state)
                logits = self.method.click(state, points[:, :count], labels[:, :count])
                key = (origin, mask, clicks[:count])
                _keep(self._states, key, state, _KEPT_STATES)
                if count == len(clicks):
                    _keep(self._logits, key, logits[0, 0].cpu().numpy(), _KEPT_LOGITS)
        return state

    def _start_from(self, state: Any, origin: Origin, mask: GivenMask) -> None:
        if getattr(state, "mask", None) is None:
            raise ValueError(f"{type(self.method).__name__} takes no mask to start from")
        crop = torch.from_numpy(cut(mask.logits, origin, self.size, fill=-MASK_LOGIT))[None, None]
        state.mask = torch.nn.functional.adaptive_avg_pool3d(crop, state.mask.shape[-3:]).to(state.mask)

    def _embed(self, origin: Origin) -> torch.Tensor:
        if origin not in self._embeddings:
            crop = cut(self.volume, origin, self.size, fill=0).astype(np.float32)
            made = self.method.embed(torch.from_numpy(crop)[None, None])
            _keep(self._embeddings, origin, made, _KEPT_EMBEDDINGS)
        return self._embeddings[origin]


def _keep(memory: OrderedDict[Any, Any], key: Any, value: Any, most: int) -> None:
    """Remember a value; the one that was not used for longest is forgotten."""
    memory[key] = value
    while len(memory) > most:
        memory.popitem(last=False)
