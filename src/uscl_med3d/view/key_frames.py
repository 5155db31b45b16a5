"""A frame of the mask as a key frame of a cohort: what `ingest` reads as an annotation, or as a correction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import atomic


@dataclass(frozen=True)
class Target:
    """Where key frames of an input go.

    Attributes:
        folder: for frame_0012.png and so on.
        hint: what is left to do so that the pipeline reads them; empty where nothing is.
        refused: why this input takes none; empty where it does.
        held_out: frames that score the pseudo-labels and must not be shown to a model.
    """

    folder: Path
    hint: str = ""
    refused: str = ""
    held_out: frozenset[int] = frozenset()


class Exists(ValueError):
    """A key frame of this number is there already."""


def write_key_frame(
    target: Target,
    frame: int,
    labels: np.ndarray,
    objects: Mapping[str, int],
    classes: Mapping[str, int],
    overwrite: bool,
) -> Path:
    """Write one frame of the label map as an 8-bit image with the classes' values and colours.

    Args:
        labels: uint8 (rows, columns), values of `objects`.
        objects: names and values in the mask. classes: names and values of the cohort.
        overwrite: replace a key frame of this number.

    Raises:
        ValueError: where objects are no classes, or the input takes no key frame here. Exists: without `overwrite`.
    """
    from PIL import Image

    from uscl_med3d.user.review import palette

    if target.refused:
        raise ValueError(target.refused)
    if frame in target.held_out:
        raise ValueError(
            f"frame {frame} is a key frame that scores the pseudo-labels; correct it in the cohort itself"
        )
    unknown = sorted(name for name in objects if name not in classes)
    if unknown:
        raise ValueError(
            f"{', '.join(map(repr, unknown))}: no class of the cohort; rename to one of {', '.join(classes)}"
        )
    path = target.folder / f"frame_{frame:04d}.png"
    if path.exists() and not overwrite:
        raise Exists(f"{path.name} is there already")
    values = np.zeros(256, np.uint8)
    for name, value in objects.items():
        values[value] = classes[name]
    image = Image.fromarray(values[labels], mode="L")
    image.putpalette(palette(classes))
    try:
        with atomic(path) as temporary:
            image.save(temporary, format="PNG")
    except OSError as error:
        raise InputError(
            file=path,
            found=str(error),
            expected="a folder that can be written",
            remedy="name another folder by --key-frames",
        ) from error
    return path
