"""Pixel size of an ultrasound image from the regions that its DICOM header calibrates (PS3.3, C.8.5.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from uscl_med3d.data.clips.base import Note

CENTIMETRES = 3  # PhysicalUnitsXDirection
TISSUE = 1  # RegionDataType
LIT = 6  # grey level that tissue exceeds at some time
SAME = 0.01  # sizes that differ by this share are one size
MAIN = 0.8  # share of the lit pixels that the region of the image holds of all regions'
LEAST_LIT = 0.05  # share of the frame's lit pixels without which a region is not that of the image


@dataclass(frozen=True)
class Region:
    """A calibrated part of the frame: first and last column and row, None where not stated; pixel size (h, w) in mm."""

    box: tuple[int, int, int, int] | None
    spacing_mm: tuple[float, float]


def list_tissue(header: Any) -> list[Region]:
    """Tissue regions that are calibrated in centimetres along both axes."""
    found = []
    for region in header.get("SequenceOfUltrasoundRegions") or []:
        units = (region.get("PhysicalUnitsXDirection"), region.get("PhysicalUnitsYDirection"))
        h, w = positive(region.get("PhysicalDeltaY")), positive(region.get("PhysicalDeltaX"))
        if region.get("RegionDataType") == TISSUE and units == (CENTIMETRES, CENTIMETRES) and h and w:
            names = ("MinX0", "MinY0", "MaxX1", "MaxY1")
            corners = [region.get(f"RegionLocation{name}") for name in names]
            box = tuple(int(value) for value in corners) if None not in corners else None
            found.append(Region(box, (h * 10, w * 10)))  # type: ignore[arg-type]
    return found


def choose_region(
    regions: Sequence[Region], brightest: np.ndarray, stated_mm: tuple[float, float] | None
) -> tuple[tuple[float, float] | None, Note | None]:
    """Pixel size (h, w) of the region that holds the image, None where several do, and what there is to say.

    Args:
        regions: at least one. brightest: temporal maximum of the clip, uint8 (h, w). stated_mm: PixelSpacing, if any.
    """
    lit = brightest > LIT
    lit = lit if lit.any() else ~lit  # nothing to go by: regions count by their area
    inside = [_mask(region, lit.shape) & lit for region in regions]
    counts = [int(mask.sum()) for mask in inside]
    best = int(np.argmax(counts))
    spacing = regions[best].spacing_mm
    total = int(np.logical_or.reduce(inside).sum())
    others = [i for i in range(len(regions)) if not _same(regions[i].spacing_mm, spacing)]
    own = np.logical_or.reduce([mask for i, mask in enumerate(inside) if i not in others])
    for i in others:  # pixels that two scales claim belong to neither
        own &= ~inside[i]
    if counts[best] < LEAST_LIT * lit.sum() or not counts[best]:
        return None, Note(
            "the calibrated region holds next to nothing of the image: the pixel size counts as unknown"
        )
    if others and own.sum() < MAIN * total:
        sizes = ", ".join(f"{region.spacing_mm[0]:.4g} x {region.spacing_mm[1]:.4g} mm" for region in regions)
        return None, Note(
            f"regions of several scales hold the image ({sizes}): the pixel size counts as unknown"
        )
    if others:
        size = f"{spacing[0]:.4g} x {spacing[1]:.4g} mm"
        return spacing, Note(f"regions of several scales: that of the one with the image is used ({size})")
    if stated_mm is not None and not _same(stated_mm, spacing):
        said, other = (f"{h:.4g} x {w:.4g} mm" for h, w in (stated_mm, spacing))
        return spacing, Note(f"PixelSpacing says {said}, the region {other}: the region is believed")
    return spacing, None


def positive(value: Any) -> float | None:
    """The size of a number that a header states; None for nothing, zero and what is no number."""
    try:
        number = abs(float(value))
    except (TypeError, ValueError):
        return None
    return number if 0 < number < float("inf") else None


def _mask(region: Region, shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    if region.box is None:
        return ~mask
    left, top, right, bottom = (max(0, value) for value in region.box)
    mask[top : bottom + 1, left : right + 1] = True
    return mask


def _same(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return all(abs(x - y) <= SAME * max(x, y) for x, y in zip(a, b, strict=True))
