"""Sets of single ultrasound images with masks: what a reader of a published layout gives.

A set is a list of items and what has to be said about it. Pixels are read item by item, so listing a set is quick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.published import need

Split = Literal["train", "val", "test", ""]


@dataclass(frozen=True)
class Item:
    """One image with its mask.

    Attributes:
        name: unique in the set. group: patient, video or cluster, whatever must not be divided among splits; equal to
            `name` where the set does not say.
        split: as published, or empty.
        image: picture, or sequence together with `frame`, its index there.
        masks: files of the mask; several are merged.
        stretched: whether the mask has a size of its own and is stretched to the image.
        values: value in the file -> label. Files whose values above 127 are the object have {255: label}.
    """

    name: str
    group: str
    split: Split
    image: Path
    masks: tuple[Path, ...]
    values: Mapping[int, int]
    frame: int | None = None
    mask_frame: int | None = None
    stretched: bool = False


@dataclass(frozen=True)
class ImageSet:
    """Items of one folder.

    Attributes:
        classes: name -> label, from 1. groups: what `Item.group` stands for, in words. notes: what a reader has to
            know: leaks, duplicates, what is left out.
    """

    name: str
    items: tuple[Item, ...]
    classes: Mapping[str, int]
    groups: str
    notes: tuple[str, ...] = field(default_factory=tuple)


class Layout(Protocol):
    """A module of this package."""

    EXPECTED: str

    def list_images(self, folder: Path) -> ImageSet:
        """Items of a folder. Raises `InputError` where it is another set, or files are missing."""
        ...


def files_in(folder: Path, suffixes: tuple[str, ...], expected: str) -> list[Path]:
    """Files with one of the endings, sorted by name; at least one."""
    need(folder, expected)
    found = sorted(
        file for file in folder.iterdir() if file.suffix.lower() in suffixes and not file.name.startswith(".")
    )
    if not found:
        raise InputError(
            file=folder, found="no pictures", expected=expected, remedy="unpack the set again, complete"
        )
    return found


def pair(images: list[Path], masks: Path, expected: str) -> list[tuple[Path, Path]]:
    """Each image with the mask of the same stem, and no mask left over.

    Raises:
        InputError: names images without a mask and masks without an image.
    """
    of_stem: dict[str, Path] = {}
    for mask in files_in(masks, PICTURES, expected):
        of_stem[mask.stem] = mask
    stems = {image.stem for image in images}
    lonely = sorted(stems - of_stem.keys())
    left = sorted(of_stem.keys() - stems)
    if lonely or left:
        found = [f"{len(lonely)} images without a mask ({', '.join(lonely[:3])})"] if lonely else []
        found += [f"{len(left)} masks without an image ({', '.join(left[:3])})"] if left else []
        raise InputError(
            file=masks,
            found="; ".join(found),
            expected="one mask per image, of the same name",
            remedy="complete the set, or remove what has no partner",
        )
    return [(image, of_stem[image.stem]) for image in images]


_TO_GREY = ("1", "RGB", "RGBA", "P", "LA", "YCbCr", "CMYK")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
BINARY_FILE = 255  # key of `Item.values` for files that are black and white


def read_image(item: Item) -> np.ndarray:
    """Grey values uint8 (h, w).

    Raises:
        InputError: for an unreadable file.
    """
    if item.frame is not None:
        from uscl_med3d.data.images2d.sequences import read_frame

        return read_frame(item.image, item.frame)
    return _open(item.image, grey=True)


def read_labels(item: Item) -> np.ndarray:
    """Labels uint8 (h, w), of the size that the mask has; several masks are merged.

    Raises:
        InputError: for an unreadable file, masks of different sizes, or grey levels where labels are expected.
    """
    merged: np.ndarray | None = None
    for file in item.masks:
        if item.mask_frame is not None:
            from uscl_med3d.data.images2d.sequences import read_mask_frame

            raw = read_mask_frame(file, item.mask_frame)
        else:
            raw = _open(file, grey=False)
        labels = _to_labels(raw, item.values, file)
        if merged is None:
            merged = labels
        elif merged.shape != labels.shape:
            raise InputError(
                file=file,
                found=f"a mask of {labels.shape[1]} x {labels.shape[0]} pixels",
                expected=f"{merged.shape[1]} x {merged.shape[0]} like {item.masks[0].name}",
                remedy="export the mask again at the image's size",
            )
        else:
            merged = np.maximum(merged, labels)
    assert merged is not None  # every reader gives a mask
    return merged


def read_item(item: Item) -> tuple[np.ndarray, np.ndarray]:
    """Image and labels, uint8 (h, w) each.

    Raises:
        InputError: as `read_image` and `read_labels`, and when the two have different sizes.
    """
    image, labels = read_image(item), read_labels(item)
    if item.stretched and image.shape != labels.shape:
        from PIL import Image

        size = (image.shape[1], image.shape[0])
        labels = np.asarray(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST))
    if image.shape != labels.shape:
        raise InputError(
            file=item.masks[0],
            found=f"a mask of {labels.shape[1]} x {labels.shape[0]} pixels",
            expected=f"{image.shape[1]} x {image.shape[0]} like {item.image.name}",
            remedy="export the mask again at the image's size",
        )
    return image, labels


_MOST_GREY = 0.05  # share of pixels between black and white that JPEG makes at the border of an object


def _to_labels(raw: np.ndarray, values: Mapping[int, int], file: Path) -> np.ndarray:
    if set(values) == {BINARY_FILE}:
        return np.where(_object(raw, file), values[BINARY_FILE], 0).astype(np.uint8)
    unknown = sorted({int(value) for value in np.unique(raw)} - set(values) - {0})
    if unknown:
        raise InputError(
            file=file,
            found=f"pixel values {', '.join(map(str, unknown[:8]))}" + (" ..." if unknown[8:] else ""),
            expected=f"labels 0, {', '.join(str(value) for value in sorted(values))}",
            remedy="export label values, not grey levels or colours",
        )
    table = np.zeros(256, np.uint8)
    for value, label in values.items():
        table[value] = label
    return table[raw]


def _object(raw: np.ndarray, file: Path) -> np.ndarray:
    """Where the object is in a black and white mask (h, w); JPEG may have blurred its border."""
    kinds = np.unique(raw)
    if len(kinds[kinds > 0]) <= 1:  # 0 and 1, or 0 and 255
        return raw > 0
    grey = float(((raw > 63) & (raw < 192)).mean())
    if grey > _MOST_GREY or kinds[-1] < 192:
        raise InputError(
            file=file,
            found=f"{len(kinds)} grey levels, {100 * grey:.0f} % of the pixels between black and white",
            expected="a black and white mask",
            remedy="export the mask, not a picture or an overlay",
        )
    return raw > 127


def _open(file: Path, grey: bool) -> np.ndarray:
    """uint8 (h, w). A picture in colour becomes grey; of a palette mask, the indices count."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            image.load()
            if not grey and image.mode == "P":
                return np.array(image)
            values = np.array(image.convert("L") if image.mode in _TO_GREY else image)
    except FileNotFoundError:
        need(file, "the file that the set lists")
        raise
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(
            file=file,
            found=f"not readable as a picture ({type(error).__name__})",
            expected="an 8-bit PNG, JPEG, BMP or TIFF",
            remedy="unpack or export the file again",
        ) from error
    if values.dtype != np.uint8:
        raise InputError(
            file=file,
            found=f"a picture of {values.dtype}",
            expected="8 bits per pixel",
            remedy="export the picture with 8 bits",
        )
    return values
