"""What official SAM-Med3D computes from a window of voxels and clicks. Windows come from `data.official_grid`.

Source: uni-medical/SAM-Med3D@f3de1fa10da9:utils/infer_utils.py with torchio 0.20.23 (behaviour only).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from uscl_med3d.data.official_grid import Index, Volume
from uscl_med3d.nets.sam_med3d import SamMed3D

ClicksGiven = Literal["all", "newest"]


def normalise(window: Volume) -> Tensor:
    """Z-score float32 (1, 1, x, y, z): mean and sample deviation of the voxels > 0, padding included in neither,
    applied to all.

    Raises:
        ValueError: where no voxel or one is above zero, or all of them are equal; officially the mask comes out empty
            without a word, or an error stops the run.
    """
    values = torch.from_numpy(np.ascontiguousarray(window.array)).float()
    foreground = values[values > 0]
    if foreground.numel() < 2 or not float(foreground.std()) > 0:
        found = "equal values" if foreground.numel() > 1 else f"{foreground.numel()} voxel(s)"
        raise ValueError(
            f"{found} above zero in the window round the click: intensities cannot be normalised"
        )
    return ((values - foreground.mean()) / foreground.std())[None, None]


def predict_passes(
    network: SamMed3D,
    embedding: Tensor,
    points: Sequence[Index],
    labels: Sequence[int],
    clicks_given: ClicksGiven,
) -> Iterator[Tensor]:
    """Low-resolution logits (1, 1, m, m, m) after every click.

    Pass i gets the clicks so far and the logits of the pass before as mask prompt, pass 0 a mask of zeros.

    Args:
        network: in evaluation mode.
        embedding: of `normalise`d voxels.
        points: window indices (x, y, z). labels: 1 object, 0 background.
        clicks_given: `all` so far, as SAM-Med3D's inference; or the `newest` one, as FastSAM3D's.
    """
    side = network.config.mask_size
    mask = embedding.new_zeros(1, 1, side, side, side)
    places = torch.tensor(np.array([points]), dtype=torch.float32, device=embedding.device)
    kinds = torch.tensor([list(labels)], device=embedding.device)
    for count in range(1, len(points) + 1):
        first = 0 if clicks_given == "all" else count - 1
        mask, _ = network.decode(embedding, (places[:, first:count], kinds[:, first:count]), masks=mask)
        yield mask


def threshold(network: SamMed3D, low: Tensor) -> np.ndarray:
    """Low-resolution logits to the window's mask uint8 (x, y, z): sigmoid above one half, strictly."""
    return (network.upsample(low.float())[0, 0].sigmoid() > 0.5).to(torch.uint8).cpu().numpy()
