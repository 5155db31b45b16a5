"""Marks that stand still in a clip: letters, logos, scales beside the image region, and the like inside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.ingest import Fan
from uscl_med3d.data.clips import dicom, open_clip, video
from uscl_med3d.data.fan import find_fan
from uscl_med3d.user.phi.finding import STAYS, Found
from uscl_med3d.user.phi.headers import is_dicom

_KIND = "burned-in marks"
_OUTSIDE_GREY = 40  # letters are much brighter than the black around the image
_INSIDE_GREY = 190  # over tissue only marks of full brightness can be told from it
_STILL = 12  # compression makes still pixels flicker by less
_LARGEST_SIDE = 80
_LEAST_MARKS = 3


def find_marks(path: Path, fan: Fan) -> Iterator[Found]:
    """Still marks of a clip, counted outside and inside its image region; other files give nothing."""
    if not (path.name.lower().endswith((*video.SUFFIXES, *dicom.SUFFIXES)) or is_dicom(path)):
        return
    try:
        frames, brightest, darkest = _summarise(path)
    except InputError:
        yield "unreadable", "its frames cannot be decoded, so nobody knows what they show", STAYS
        return
    region = find_fan(brightest, darkest, **fan.model_dump(exclude={"max_labels_outside"}))
    outside = count_marks((darkest > _OUTSIDE_GREY) & ~region)
    if outside >= _LEAST_MARKS:
        yield _KIND, f"{outside} still marks outside the image region", "ingest sets them to zero"
    if frames == 1:
        yield _KIND, "one frame: marks inside the image region cannot be told from tissue", STAYS
        return
    still = (darkest >= _INSIDE_GREY) & (brightest.astype(int) - darkest <= _STILL)
    inside = count_marks(still & region)
    if inside >= _LEAST_MARKS:
        yield _KIND, f"{inside} still marks inside the image region", STAYS


def count_marks(mask: np.ndarray) -> int:
    """Connected parts of a bool image (h, w) between the size of a letter's stroke and of a logo."""
    from scipy import ndimage

    labels, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    sizes = np.bincount(labels.ravel())
    found = ndimage.find_objects(labels)
    sides = [max(part.stop - part.start for part in box) for box in found]
    return sum(4 <= side <= _LARGEST_SIDE and size >= 4 for side, size in zip(sides, sizes[1:], strict=True))


def _summarise(path: Path) -> tuple[int, np.ndarray, np.ndarray]:
    count, brightest, darkest = 0, None, None
    for frame in open_clip(path).frames():
        brightest = frame.copy() if brightest is None else np.maximum(brightest, frame)
        darkest = frame.copy() if darkest is None else np.minimum(darkest, frame)
        count += 1
    assert brightest is not None and darkest is not None  # a clip has at least one frame
    return count, brightest, darkest
