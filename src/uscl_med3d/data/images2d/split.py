"""Dividing a set: groups stay together, and what the published split does wrong is said."""

from __future__ import annotations

import random
from collections.abc import Mapping

from uscl_med3d.data.images2d.base import ImageSet, Item


def divided_groups(items: tuple[Item, ...]) -> dict[str, dict[str, int]]:
    """Groups that the published split divides: group -> number of images per split."""
    counts: dict[str, dict[str, int]] = {}
    for item in items:
        of_group = counts.setdefault(item.group, {})
        of_group[item.split] = of_group.get(item.split, 0) + 1
    return {group: found for group, found in sorted(counts.items()) if len(found) > 1}


def describe_leaks(images: ImageSet) -> list[str]:
    """One sentence per group that the published split divides."""
    return [
        f"The published split divides {group}: "
        + ", ".join(f"{count} in {split or 'no split'}" for split, count in sorted(found.items()))
        + "."
        for group, found in divided_groups(images.items).items()
    ]


def split_groups(items: tuple[Item, ...], shares: Mapping[str, float], seed: int) -> dict[str, str]:
    """Item name -> split, whole groups at a time; the shares are of images and come out as near as groups allow."""
    sizes: dict[str, int] = {}
    for item in items:
        sizes[item.group] = sizes.get(item.group, 0) + 1
    order = sorted(sizes)
    random.Random(seed).shuffle(order)
    order.sort(key=lambda group: -sizes[group])  # stable: large groups first, equal ones in the drawn order
    total, given = len(items), dict.fromkeys(shares, 0)
    of_group = {}
    for group in order:
        split = min(shares, key=lambda name: (given[name] + sizes[group]) / (shares[name] * total))
        of_group[group] = split
        given[split] += sizes[group]
    return {item.name: of_group[item.group] for item in items}


def folds(items: tuple[Item, ...], count: int, seed: int) -> dict[str, int]:
    """Item name -> fold 0..count-1, whole groups at a time, folds of similar size."""
    parts = split_groups(items, {str(fold): 1 / count for fold in range(count)}, seed)
    return {name: int(fold) for name, fold in parts.items()}
