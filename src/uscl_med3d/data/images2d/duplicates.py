"""Images that show the same thing: pairs that are nearly equal, and clusters of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from uscl_med3d.data.images2d.base import Item, read_image

SIDE = 96  # pixels of the thumbnails that are compared


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Grey image (h, w) -> (96 * 96,), mean 0 and length 1; a uniform image gives zeros."""
    from PIL import Image

    small = Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    values = np.asarray(small, np.float64).ravel()
    values = values - values.mean()
    length = np.linalg.norm(values)
    return values / length if length > 0 else values


def find_clusters(thumbnails: Sequence[np.ndarray], threshold: float) -> list[int]:
    """Cluster of each image: images whose correlation exceeds `threshold` share one, directly or through others.

    Clusters are numbered in the order of their first image.
    """
    from scipy.sparse.csgraph import connected_components

    stack = np.stack(thumbnails)
    _, labels = connected_components(stack @ stack.T > threshold, directed=False)
    order: dict[int, int] = {}
    return [order.setdefault(int(label), len(order)) for label in labels]


def find_pairs(thumbnails: Sequence[np.ndarray], threshold: float) -> list[tuple[int, int, float]]:
    """Pairs (first, second, correlation) above the threshold, in order."""
    stack = np.stack(thumbnails)
    correlation = np.triu(stack @ stack.T, 1)
    return [(int(a), int(b), float(correlation[a, b])) for a, b in np.argwhere(correlation > threshold)]


def cluster_items(items: Sequence[Item], threshold: float) -> tuple[Item, ...]:
    """The items with clusters of near-duplicates as groups; every image is read."""
    if not items:
        return ()
    clusters = find_clusters([thumbnail(read_image(item)) for item in items], threshold)
    return tuple(
        replace(item, group=f"cluster_{cluster:03d}") for item, cluster in zip(items, clusters, strict=True)
    )
