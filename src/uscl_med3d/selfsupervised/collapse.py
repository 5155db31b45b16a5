"""Collapse watch: do different images still get different features?"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def feature_std(features: Tensor) -> float:
    """Spread of the normalised features over images: (n, c) -> 0 (all alike) to about 1 (spread evenly).

    Standard deviation of each channel of the L2-normalised features, averaged, times sqrt(c). Source: Chen & He,
    SimSiam (CVPR 2021), who compare it with 1 / sqrt(c).
    """
    normalised = F.normalize(features.double(), dim=-1)
    return float(normalised.std(0, unbiased=False).mean() * features.shape[1] ** 0.5)


def effective_rank(features: Tensor) -> float:
    """Number of directions that the centred features really use: (n, c) -> 1 to min(n - 1, c); 0 if all are alike.

    Exponential of the entropy of the normalised singular values. Source: Roy & Vetterli, The effective rank (2007).
    """
    features = features.double()
    centred = features - features.mean(0)
    values = torch.linalg.svdvals(centred)
    # What rounding leaves of equal features is no direction.
    if values.sum() <= 1e-9 * features.norm():
        return 0.0
    shares = values / values.sum()
    shares = shares[shares > 0]
    return float((-(shares * shares.log()).sum()).exp())
