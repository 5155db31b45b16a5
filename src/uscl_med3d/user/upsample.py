"""Logits of a coarse grid as labels on a fine one, computed only where an object can be.

A voxel's value depends on its own neighbours alone, with the same operations in the same order whatever part is asked
for: labels of a part are those of the whole, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""First voxel and end (half-open) along each axis."""


@dataclass(frozen=True)
class Axis:
    """Linear interpolation along one axis; held constant before the first and after the last coarse middle.

    Attributes:
        at: position of each fine middle in coarse indices, ascending.
        size: number of coarse cells.
    """

    at: np.ndarray
    size: int

    @classmethod
    def between(cls, count: int, start: float, step: float, size: int) -> Axis:
        """`count` fine cells; coarse cell i covers start + i * step to start + (i + 1) * step, in fine cells."""
        return cls(np.clip((np.arange(count) + 0.5 - start) / step - 0.5, 0, size - 1), size)

    def reach(self, first: int, last: int) -> tuple[int, int]:
        """Fine cells (half-open) that any of the coarse cells `first` to `last` has a share in."""
        return (
            int(np.searchsorted(self.at, first - 1, "right")),
            int(np.searchsorted(self.at, last + 1, "left")),
        )

    def neighbours(self, first: int, end: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Lower and upper coarse cell of fine cells `first` to `end`, and the share of the upper one, float32."""
        at = self.at[first:end]
        low = np.minimum(at.astype(int), max(self.size - 2, 0))
        return low, np.minimum(low + 1, self.size - 1), (at - low).astype(np.float32)


Axes = tuple[Axis, Axis, Axis]


def find_box(logits: np.ndarray, axes: Axes) -> Box | None:
    """The part of the fine grid outside which no interpolated logit is above zero; None where none is anywhere."""
    above = logits > 0
    if not above.any():
        return None
    box = bounds(above)
    assert box is not None
    ends = [axis.reach(first, end - 1) for axis, (first, end) in zip(axes, box, strict=True)]
    return ends[0], ends[1], ends[2]


def join(boxes: Sequence[Box | None]) -> Box | None:
    """The smallest box around all of them."""
    given = [box for box in boxes if box is not None]
    if not given:
        return None
    ends = [(min(box[axis][0] for box in given), max(box[axis][1] for box in given)) for axis in range(3)]
    return ends[0], ends[1], ends[2]


def overlap(one: Box, other: Box) -> Box | None:
    """The common part of two boxes."""
    ends = [(max(a[0], b[0]), min(a[1], b[1])) for a, b in zip(one, other, strict=True)]
    return (ends[0], ends[1], ends[2]) if all(first < end for first, end in ends) else None


def slices(box: Box) -> tuple[slice, slice, slice]:
    """A box as an index of an array."""
    return slice(*box[0]), slice(*box[1]), slice(*box[2])


def shift(box: Box, part: Box) -> Box:
    """A box of the whole in indices of `part`."""
    ends = [(a - start, b - start) for (a, b), (start, _) in zip(box, part, strict=True)]
    return ends[0], ends[1], ends[2]


def unshift(box: Box, part: Box) -> Box:
    """A box in indices of `part` as a box of the whole."""
    ends = [(a + start, b + start) for (a, b), (start, _) in zip(box, part, strict=True)]
    return ends[0], ends[1], ends[2]


def bounds(mask: np.ndarray) -> Box | None:
    """The smallest box around the voxels of a mask; None where there are none."""
    ends = []
    for axis in range(3):
        found = np.flatnonzero(mask.any(tuple(other for other in range(3) if other != axis)))
        if not found.size:
            return None
        ends.append((int(found[0]), int(found[-1]) + 1))
    return ends[0], ends[1], ends[2]


class Part:
    """One object's logits on the part of the fine grid that `box` names, plane by plane along the first axis."""

    def __init__(self, logits: np.ndarray, axes: Axes, box: Box) -> None:
        self.box = box
        self._low, self._high, self._share = axes[0].neighbours(*box[0])
        first, end = int(self._low[0]), int(self._high[-1]) + 1
        coarse = logits[first:end].astype(np.float32, copy=False)
        self._low, self._high = self._low - first, self._high - first
        # Columns, then rows, of the few coarse planes; then one blend of two planes for each fine one.
        low, high, share = axes[2].neighbours(*box[2])
        coarse = coarse[:, :, low] * (1 - share) + coarse[:, :, high] * share
        low, high, share = axes[1].neighbours(*box[1])
        share = share[:, None]
        self._planes = coarse[:, low] * (1 - share) + coarse[:, high] * share

        shape = self._planes.shape[1:]
        self._buffers = np.empty(shape, np.float32), np.empty(shape, np.float32)

    def plane(self, index: int) -> np.ndarray:
        """Logits float32 (rows, columns) of the box at fine position `index` of the whole grid; good until the next call."""
        at = index - self.box[0][0]
        share = self._share[at]
        below, above = self._buffers
        np.multiply(self._planes[self._low[at]], 1 - share, out=below)
        np.multiply(self._planes[self._high[at]], share, out=above)
        return np.add(below, above, out=below)


def label(objects: Sequence[np.ndarray], axes: Axes, box: Box, region: np.ndarray) -> np.ndarray:
    """Labels uint8 of the part `box`: 0 background, else 1 + object; where several are above zero, the largest wins.

    Args:
        objects: coarse logits of each.
        region: bool (rows, columns) of the whole fine grid; background outside.
    """
    result = np.zeros([end - first for first, end in box], np.uint8)
    parts = []
    for number, logits in enumerate(objects, 1):
        reach = find_box(logits, axes)
        common = None if reach is None else overlap(reach, box)
        if common is not None:
            parts.append((number, Part(logits, axes, common)))
    region = region[slice(*box[1]), slice(*box[2])]
    best = np.zeros(result.shape[1:], np.float32)
    for frame in range(*box[0]):
        present = [(number, part) for number, part in parts if part.box[0][0] <= frame < part.box[0][1]]
        if not present:
            continue
        labels = result[frame - box[0][0]]
        best[:] = 0
        for number, part in present:
            inside = (slice(*shift(part.box, box)[1]), slice(*shift(part.box, box)[2]))
            plane = part.plane(frame)
            if len(present) == 1:
                np.multiply(plane > 0, np.uint8(number), out=labels[inside])
                continue
            np.copyto(labels[inside], np.uint8(number), where=plane > best[inside])
            np.maximum(best[inside], plane, out=best[inside])
        labels *= region
    return result
