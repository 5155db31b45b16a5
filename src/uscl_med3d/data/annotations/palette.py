"""Colours of labels: what `review` writes, and how indexed images are read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.palette import COLOURS, Colour

BACKGROUND, NOT_ANNOTATED = (0, 0, 0), (255, 255, 255)
IGNORE = 255
MOST_NAMED = 8


def label_colours(classes: Mapping[str, int]) -> dict[int, Colour]:
    """Label value -> colour: black background, white for "not annotated", a colour for every class."""
    colours: dict[int, Colour] = {0: BACKGROUND, IGNORE: NOT_ANNOTATED}
    return colours | {value: COLOURS[(value - 1) % len(COLOURS)] for value in classes.values()}


def read_indexed(
    indices: np.ndarray, palette: Sequence[int], classes: Mapping[str, int], file: Path
) -> np.ndarray:
    """Labels uint8 (h, w) of an indexed image, by colour where its colours are known.

    Args:
        indices: uint8 (h, w). palette: red, green, blue of every index, one after another.

    Raises:
        InputError: where used colours are neither those of labels nor a plain ramp of greys.
    """
    used = np.unique(indices).tolist()
    if max(used) >= len(palette) // 3:
        raise _refuse(file, f"index {max(used)} without a colour in the palette", classes)
    colours = {index: tuple(palette[3 * index : 3 * index + 3]) for index in used}
    by_colour: dict[tuple[int, ...], int] = {}
    doubled = set()
    for value, colour in label_colours(classes).items():
        if by_colour.setdefault(colour, value) != value:
            doubled.add(colour)
    if all(colours[index] in by_colour and colours[index] not in doubled for index in used):
        table = np.zeros(256, np.uint8)
        for index in used:
            table[index] = by_colour[colours[index]]
        return table[indices]
    if all(colours[index] == (index, index, index) for index in used):
        return indices
    unknown = [f"{index} {colours[index]}" for index in used if colours[index] not in by_colour]
    raise _refuse(file, f"indices of other colours: {', '.join(unknown[:MOST_NAMED])}", classes)


def _refuse(file: Path, found: str, classes: Mapping[str, int]) -> InputError:
    names = {value: name for name, value in classes.items()} | {0: "background", IGNORE: "not annotated"}
    colours = ", ".join(
        f"{value} {names[value]} {colour}" for value, colour in sorted(label_colours(classes).items())
    )
    return InputError(
        file=file,
        found=found,
        expected=f"the colours of `uscl-med3d review` ({colours}), or grey values that are the labels",
        remedy="save the mask as a grey image whose pixel values are the labels",
    )
