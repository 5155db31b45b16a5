"""Pixel sizes that a user states beside what a file says of its pixels."""

from __future__ import annotations

from pathlib import Path

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.clips.base import ClipInfo, Note

SAME = 0.02  # sizes and ratios that differ by this share count as one
SQUARE = 1e-6


def check_aspect(file: Path, spacing_mm: tuple[float, float], pixel_aspect: float) -> None:
    """Raise `InputError` where one size is stated for pixels that are not square.

    Args:
        file: of the clip. spacing_mm: (h, w) as stated. pixel_aspect: width / height as the file has it.
    """
    h, w = spacing_mm
    if abs(pixel_aspect - 1) <= SAME or abs(h - w) > SQUARE * max(h, w):
        return
    raise InputError(
        file=file,
        found=f"pixels with width / height = {pixel_aspect:.4g}, and one size for both sides ({h:g} mm)",
        expected="two numbers: height and width of a pixel in millimetres",
        remedy=f"state both (if {h:g} is the height: {h:g} and {h * pixel_aspect:.5g}), or none",
    )


def compare(stated_mm: tuple[float, float] | None, info: ClipInfo) -> list[Note]:
    """What there is to say where a table states a pixel size (h, w) and the file another."""
    found = info.pixel_spacing_mm
    if stated_mm is None or found is None:
        return []
    if all(abs(a - b) <= SAME * max(a, b) for a, b in zip(stated_mm, found, strict=True)):
        return []
    sizes = [" x ".join(f"{side:.4g}" for side in pair) for pair in (stated_mm, found)]
    text = f"the table says pixels of {sizes[0]} mm, the file ({info.spacing_from}) {sizes[1]} mm"
    return [Note(f"{text}: the table is believed")]
