"""Simulated clicks on a batch of crops, as training and validation give them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from uscl_med3d.clicks.simulators import SIMULATORS
from uscl_med3d.train.crops import IGNORE, Batch


def first_clicks(batch: Batch) -> tuple[Tensor, Tensor]:
    """The first clicks of a batch as points (b, 1, 3) and labels (b, 1)."""
    points = torch.from_numpy(batch.first_clicks).float()[:, None]
    return points, torch.ones(points.shape[:2], dtype=torch.long)


def add_clicks(
    points: Tensor,
    labels: Tensor,
    prediction: Tensor,
    truth: np.ndarray,
    simulator: str,
    random: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Append one simulated click per case; label -1 where nothing is wrong.

    Args:
        points, labels: clicks so far, (b, n, 3) and (b, n).
        prediction: boolean (b, 1, d, h, w).
        truth: uint8 of the same shape, 255 where nothing is known: no click falls there.
    """
    predicted = prediction.cpu().numpy()
    new_points, new_labels = [], []
    for index in range(points.shape[0]):
        known = truth[index, 0] != IGNORE
        click = SIMULATORS[simulator](predicted[index, 0] & known, truth[index, 0] == 1, random)
        d, h, w, label = click if click else (0, 0, 0, -1)
        new_points.append([[float(d), float(h), float(w)]])
        new_labels.append([label])
    return torch.cat([points, torch.tensor(new_points)], 1), torch.cat([labels, torch.tensor(new_labels)], 1)
