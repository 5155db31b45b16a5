"""BUSI and UDIAT (set B): breast lesions.

Sources: Al-Dhabyani et al., Data in Brief 28, 2020 (BUSI); Yap et al., IEEE JBHI 22(4), 2018 (UDIAT).
"""

from __future__ import annotations

import re
from pathlib import Path

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.images2d.base import BINARY_FILE, PICTURES, ImageSet, Item, files_in, pair
from uscl_med3d.data.images2d.duplicates import cluster_items
from uscl_med3d.data.published import need

BUSI_EXPECTED = (
    "benign, malignant and normal with 'benign (1).png', 'benign (1)_mask.png', 'benign (1)_mask_1.png'"
)
UDIAT_EXPECTED = "original and GT with 000001.png"
CORRELATION = 0.95
_NAME = re.compile(r"((?:benign|malignant|normal) \(\d+\))(_mask(?:_\d+)?)?\.png")


def list_busi(folder: Path) -> ImageSet:
    """Benign and malignant lesions; several masks of one image are merged. Images without a lesion are left out."""
    items = []
    for kind in ("benign", "malignant"):
        images: dict[str, Path] = {}
        masks: dict[str, list[Path]] = {}
        for file in files_in(folder / kind, (".png",), BUSI_EXPECTED):
            match = _NAME.fullmatch(file.name)
            if match is None:
                raise InputError(
                    file=file,
                    found=f"the name {file.name!r}",
                    expected=BUSI_EXPECTED,
                    remedy="rename the file as published, or move it out of the folder",
                )
            if match.group(2):
                masks.setdefault(match.group(1), []).append(file)
            else:
                images[match.group(1)] = file
        if images.keys() != masks.keys():
            lonely = sorted(images.keys() ^ masks.keys())
            raise InputError(
                file=folder / kind,
                found=f"{len(lonely)} without image or mask ({', '.join(lonely[:3])})",
                expected="an image and at least one mask each",
                remedy="unpack the set again",
            )
        for name in sorted(images, key=_number):
            items.append(Item(name, name, "", images[name], tuple(sorted(masks[name])), {BINARY_FILE: 1}))
    normal = len(list((folder / "normal").glob("normal (*).png"))) if (folder / "normal").is_dir() else 0
    several = [item.name for item in items if len(item.masks) > 1]
    notes = [
        f"{len(several)} images have several masks, which are merged.",
        f"{normal} images without a lesion are left out.",
        "The set does not say which images are of one patient, and some are in it twice: groups are near-duplicates "
        f"(thumbnails that correlate above {CORRELATION}).",
    ]
    return ImageSet(
        "busi", cluster_items(items, CORRELATION), {"lesion": 1}, "cluster of near-duplicates", tuple(notes)
    )


def list_udiat(folder: Path) -> ImageSet:
    """Test only."""
    need(folder / "original", UDIAT_EXPECTED)
    pairs = pair(files_in(folder / "original", PICTURES, UDIAT_EXPECTED), folder / "GT", UDIAT_EXPECTED)
    items = tuple(
        Item(image.stem, image.stem, "test", image, (mask,), {BINARY_FILE: 1}) for image, mask in pairs
    )
    note = "The set does not say which images are of one patient."
    return ImageSet("udiat", items, {"lesion": 1}, "image", (note,))


def _number(name: str) -> tuple[str, int]:
    kind, _, number = name.partition(" ")
    return kind, int(number.strip("()"))
