"""Prediction on crops: the method on one crop of each volume, its masks back on the volume's grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from uscl_med3d.clicks.crops import Origin, common_part, cut, to_crop
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


def fill_volume(region: Region, shape: tuple[int, int, int]) -> np.ndarray:
    """The mask of a region as uint8 on the volume's grid."""
    volume = np.zeros(shape, dtype=np.uint8)
    inside, outside = common_part(shape, region.origin, region.mask.shape)
    volume[outside] = region.mask[inside]
    return volume
