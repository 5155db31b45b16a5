"""Prediction on whole volumes: the method on crops around clicks, its masks back on the volume's grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from uscl_med3d.clicks.crops import Origin, centre_crop_on, common_part, contains, cut, tile_crops, to_crop
from uscl_med3d.clicks.simulators import Click
from uscl_med3d.methods.base import ClickMethod


@dataclass(frozen=True)
class Region:
    """A mask (d, h, w) whose first voxel lies at `origin` of the volume; everything outside is background."""

    origin: Origin
    mask: np.ndarray


class CropPrediction:
    """Several volumes of one method at once, one crop each, encoded once.

    Args:
        method: loaded, in evaluation mode.
        volumes: (d, h, w) raw intensities.
        origins: of the crops.
        size: side of the crops.
    """

    def __init__(
        self, method: ClickMethod, volumes: Sequence[np.ndarray], origins: Sequence[Origin], size: int
    ) -> None:
        self.method, self.origins = method, list(origins)
        crops = [cut(volume, at, size, fill=0) for volume, at in zip(volumes, origins, strict=True)]
        with torch.inference_mode():
            self.state = method.encode(torch.from_numpy(np.stack(crops)[:, None].astype(np.float32)))

    def predict(self, clicks: Sequence[Sequence[Click | None]]) -> list[Region]:
        """Masks after all clicks so far, given per volume in volume indices; None where one had no click."""
        rows = [
            [(*to_crop(click[:3], at), click[3]) if click else (0, 0, 0, -1) for click in history]
            for history, at in zip(clicks, self.origins, strict=True)
        ]
        table = torch.tensor(rows)
        with torch.inference_mode():
            logits = self.method.click(self.state, table[..., :3].float(), table[..., 3])
        masks = (logits[:, 0] > 0).cpu().numpy()
        return [Region(at, mask) for at, mask in zip(self.origins, masks, strict=True)]


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


def fill_volume(region: Region, shape: tuple[int, int, int]) -> np.ndarray:
    """The mask of a region as uint8 on the volume's grid."""
    volume = np.zeros(shape, dtype=np.uint8)
    inside, outside = common_part(shape, region.origin, region.mask.shape)
    volume[outside] = region.mask[inside]
    return volume


def _add(total: np.ndarray, values: np.ndarray, origin: Origin) -> None:
    inside, outside = common_part(total.shape, origin, values.shape)
    total[outside] += values[inside]


def segment(method: ClickMethod, volume: np.ndarray, clicks: Sequence[Click], size: int) -> np.ndarray:
    """Segment one object from a user's clicks alone: no reference is needed, and none is used.

    Args:
        method: loaded.
        volume: (d, h, w) raw intensities.
        clicks: (d, h, w, label) in volume indices, the first one on the object; clicks outside the crop around
            the first one are an error, because the model would not see them.
        size: side of the model's input.

    Returns:
        uint8 mask (d, h, w) on the volume's grid.

    Raises:
        ValueError: without clicks, or for a click outside the volume or the crop.
    """
    if not clicks:
        raise ValueError("at least one click is needed")
    origin = centre_crop_on(clicks[0][:3], volume.shape, size)
    for click in clicks:
        inside = all(0 <= at < length for at, length in zip(click[:3], volume.shape, strict=True))
        if not inside or not contains(origin, size, click[:3]):
            raise ValueError(
                f"click {click[:3]} lies outside the crop of {size} voxels a side that starts at {origin}"
            )
    prediction = CropPrediction(method, [volume], [origin], size)
    for count in range(1, len(clicks) + 1):
        (region,) = prediction.predict([clicks[:count]])
    return fill_volume(region, volume.shape)
