"""TN3K, DDTI and TG3K: thyroid nodules and the thyroid gland, JPEG images with JPEG masks.

Source: Gong et al., Multi-task learning for thyroid nodule segmentation, ISBI 2021; layouts of
haifangong/TRFE-Net-for-thyroid-nodule-segmentation@6e35530fa829 (behaviour only).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.images2d.base import BINARY_FILE, PICTURES, ImageSet, Item, Split, files_in, pair
from uscl_med3d.data.published import need

TN3K_EXPECTED = "trainval-image, trainval-mask, test-image, test-mask with 0000.jpg, tn3k-trainval-fold0.json"
DDTI_EXPECTED = "image and mask with pictures of the same names"
TG3K_EXPECTED = "thyroid-image, thyroid-mask with 0000.jpg, tg3k-trainval.json"
FOLD = 0
_NO_PATIENTS = (
    "The set does not say which images are of one patient, so a patient may lie on both sides of a split."
)


def list_tn3k(folder: Path) -> ImageSet:
    """Training and validation of fold 0, and the test images; nodules."""
    images = files_in(folder / "trainval-image", PICTURES, TN3K_EXPECTED)
    pairs = pair(images, folder / "trainval-mask", TN3K_EXPECTED)
    split_of = _read_split(folder / f"tn3k-trainval-fold{FOLD}.json", {image.stem for image in images})
    tested = pair(
        files_in(folder / "test-image", PICTURES, TN3K_EXPECTED), folder / "test-mask", TN3K_EXPECTED
    )
    items = [_item(f"trainval_{image.stem}", split_of[image.stem], image, mask) for image, mask in pairs]
    items += [_item(f"test_{image.stem}", "test", image, mask) for image, mask in tested]
    return ImageSet("tn3k", tuple(items), {"nodule": 1}, "image", (_NO_PATIENTS,))


def list_ddti(folder: Path) -> ImageSet:
    """The cropped version that comes with TN3K; test only; nodules."""
    pairs = pair(files_in(folder / "image", PICTURES, DDTI_EXPECTED), folder / "mask", DDTI_EXPECTED)
    items = tuple(_item(image.stem, "test", image, mask) for image, mask in pairs)
    return ImageSet("ddti", items, {"nodule": 1}, "image", (_NO_PATIENTS,))


def list_tg3k(folder: Path) -> ImageSet:
    """Frames of videos, the published split; gland. A video is a run of frames of one size."""
    images = files_in(folder / "thyroid-image", PICTURES, TG3K_EXPECTED)
    pairs = pair(images, folder / "thyroid-mask", TG3K_EXPECTED)
    split_of = _read_split(folder / "tg3k-trainval.json", {image.stem for image in images})
    runs = _runs([image for image, _ in pairs])
    items = tuple(
        Item(image.stem, f"video_{run:02d}", split_of[image.stem], image, (mask,), {BINARY_FILE: 1})
        for (image, mask), run in zip(pairs, runs, strict=True)
    )
    return ImageSet("tg3k", items, {"gland": 1}, "video (frames of one size in a row)")


def _item(name: str, split: Split, image: Path, mask: Path) -> Item:
    return Item(name, name, split, image, (mask,), {BINARY_FILE: 1})


def _runs(images: list[Path]) -> list[int]:
    """Number of the run of equal sizes that each image belongs to; only headers are read."""
    from PIL import Image, UnidentifiedImageError

    runs: list[int] = []
    last: tuple[int, int] | None = None
    for file in images:
        try:
            with Image.open(file) as image:
                size = image.size
        except (UnidentifiedImageError, OSError) as error:
            raise InputError(
                file=file,
                found=f"not readable as a picture ({type(error).__name__})",
                expected="a JPEG",
                remedy="unpack the set again",
            ) from error
        runs.append(runs[-1] + (size != last) if runs else 0)
        last = size
    return runs


def _read_split(file: Path, stems: set[str]) -> dict[str, Split]:
    """Stem -> split of a file {"train": [0, 1, ...], "val": [...]}.

    Raises:
        InputError: for missing files, an image in both lists, or images in neither.
    """
    need(file, "the published split")
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
        lists = {name: [f"{int(index):04d}" for index in content[name]] for name in ("train", "val")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            file=file,
            found=f"not readable ({type(error).__name__})",
            expected='{"train": [numbers], "val": [numbers]}',
            remedy="unpack the set again",
        ) from error
    train, val = set(lists["train"]), set(lists["val"])
    wrong = {
        "in both lists": sorted(train & val),
        "listed without a file": sorted((train | val) - stems),
        "in neither list": sorted(stems - train - val),
    }
    if any(wrong.values()):
        found = "; ".join(
            f"{len(names)} {what} ({', '.join(names[:3])})" for what, names in wrong.items() if names
        )
        raise InputError(
            file=file, found=found, expected="every image in one of the lists", remedy="unpack the set again"
        )
    return {**dict.fromkeys(train, "train"), **dict.fromkeys(val, "val")}
