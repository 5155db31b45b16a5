"""Sets of single ultrasound images with masks, in the layouts they are published in.

A new layout is one function here that lists its items, and one line in `LAYOUTS`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.images2d import breast, cohort, heart, scans, thyroid, us30k, usgra
from uscl_med3d.data.images2d.base import ImageSet, Item, read_image, read_item, read_labels
from uscl_med3d.data.images2d.duplicates import find_pairs, thumbnail
from uscl_med3d.data.images2d.split import describe_leaks, folds, split_groups

LAYOUTS: dict[str, Callable[[Path], ImageSet]] = {
    "busi": breast.list_busi,
    "camus": heart.list_camus,
    "cohort": cohort.list_images,
    "ddti": thyroid.list_ddti,
    "hmc_qu": heart.list_hmc_qu,
    "scans": scans.list_images,
    "tg3k": thyroid.list_tg3k,
    "tn3k": thyroid.list_tn3k,
    "udiat": breast.list_udiat,
    "us30k": us30k.list_images,
    "usgra": usgra.list_images,
}

__all__ = [
    "LAYOUTS",
    "ImageSet",
    "Item",
    "describe",
    "folds",
    "open_set",
    "read_image",
    "read_item",
    "read_labels",
    "split_groups",
]


def open_set(layout: str, folder: str | Path) -> ImageSet:
    """List the images of a published set.

    Raises:
        InputError: for an unknown layout, a folder that is another set, missing files, a list that does not fit.
    """
    if layout not in LAYOUTS:
        raise InputError(
            file=folder,
            found=f"layout {layout!r}",
            expected=f"one of {', '.join(sorted(LAYOUTS))}",
            remedy="correct the name of the set",
        )
    return LAYOUTS[layout](Path(folder))


def describe(images: ImageSet, duplicate: float | None) -> list[str]:
    """What has to be said about a set, in sentences: its notes, leaks of its split, and pairs of equal images.

    Args:
        duplicate: correlation of thumbnails above which two images of different groups count as the same; None: not
            looked for, which saves reading every image.
    """
    splits: dict[str, int] = {}
    for item in images.items:
        splits[item.split or "no split"] = splits.get(item.split or "no split", 0) + 1
    counts = ", ".join(f"{count} {split}" for split, count in sorted(splits.items()))
    groups = len({item.group for item in images.items})
    lines = [f"{len(images.items)} images ({counts}) of {groups} groups ({images.groups})."]
    lines += [*images.notes, *describe_leaks(images)]
    if duplicate is not None and images.items:
        pairs = find_pairs([thumbnail(read_image(item)) for item in images.items], duplicate)
        apart = [(a, b, c) for a, b, c in pairs if images.items[a].group != images.items[b].group]
        lines.append(f"{len(apart)} pairs of nearly equal images (correlation above {duplicate}).")
        lines += [f"{images.items[a].name} = {images.items[b].name} ({c:.3f})" for a, b, c in apart[:20]]
    return lines
