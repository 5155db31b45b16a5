"""usgra-seg: B-mode stills of volunteers with nerve and vessel, palette PNG masks.

The set has no ids of volunteers. Near-duplicates are clustered (thumbnails of 96 x 96 pixels that correlate above
0.75) and a cluster stays on one side of a split; that does not make volunteers disjoint.

Source: Kandaouroff, usgra-seg, 2025 (CC BY 4.0).
"""

from __future__ import annotations

from pathlib import Path

from uscl_med3d.data.images2d.base import PICTURES, ImageSet, Item, files_in, pair
from uscl_med3d.data.images2d.duplicates import cluster_items
from uscl_med3d.data.published import need

EXPECTED = "images and masks with PNGs of the same names, here or in dataset/"
CORRELATION = 0.75


def list_images(folder: Path) -> ImageSet:
    """All stills; groups are clusters of near-duplicates; no published split."""
    root = folder / "dataset" if (folder / "dataset").is_dir() else folder
    items = []
    for part, prefix in ((root, ""), (root / "test", "test_")):
        if prefix and not part.is_dir():
            continue
        need(part / "images", EXPECTED)
        pairs = pair(files_in(part / "images", PICTURES, EXPECTED), part / "masks", EXPECTED)
        items += [Item(prefix + image.stem, "", "", image, (mask,), {1: 1, 2: 2}) for image, mask in pairs]
    note = "Volunteers cannot be told apart: the same person may lie on both sides of a split."
    return ImageSet(
        "usgra",
        cluster_items(items, CORRELATION),
        {"nerve": 1, "vessel": 2},
        "cluster of near-duplicates",
        (note,),
    )
