"""Label maps onto the clip's grid: by both affines where both are stated, else voxel by voxel, and then it is said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.annotations.base import Canvas
from uscl_med3d.data.volumes import is_made_up

NEAR = 0.1  # voxels of the clip by which a voxel of the label may miss one and still be it
PLAIN = 1e-6
SAME = 0.02  # sizes of pixels that differ by this share count as one


@dataclass(frozen=True)
class Placement:
    """How a label map (columns, rows, frames) becomes a part of the clip's grid.

    Attributes:
        axes: axis of the label map along each axis of the clip. flipped: whether it runs backwards there.
        start: first voxel on the clip's grid, (column, row, frame); may lie outside.
    """

    axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]
    start: tuple[int, int, int]

    def turn(self, array: np.ndarray) -> np.ndarray:
        """A map (frames, rows, columns, ...) with its axes in the clip's order and direction."""
        back = array.transpose(2, 1, 0, *range(3, array.ndim))
        turned = back.transpose(*self.axes, *range(3, array.ndim))
        turned = np.flip(turned, tuple(axis for axis in range(3) if self.flipped[axis]))
        return turned.transpose(2, 1, 0, *range(3, array.ndim))


AS_IT_IS = Placement((0, 1, 2), (False, False, False), (0, 0, 0))


def place(affine: np.ndarray | None, shape: tuple[int, ...], canvas: Canvas, file: Path) -> Placement | None:
    """Where a label map lies on the clip's grid; None where affines cannot say, so that it is taken voxel by voxel.

    Args:
        affine: (4, 4) of the label map, voxel -> RAS millimetres; None where it states none.
        shape: (columns, rows, frames) of the label map.

    Raises:
        InputError: where both have an affine and the voxels of the one are not those of the other.
    """
    if affine is None or canvas.affine is None:
        _say_assumption(affine, canvas, file)
        return None
    across = np.linalg.solve(canvas.affine, affine)
    found = _as_turn(across, shape)
    if found is not None and _covers(found, shape, canvas):
        _say_shift(found, shape, canvas, file)
        return found
    if is_made_up(affine) and is_made_up(canvas.affine):
        # Both say nothing: programs differ in the signs that they make up.
        canvas.say(f"neither the clip nor {file.name} states its place: taken voxel by voxel")
        return None
    raise _refuse(affine, across, shape, canvas, file)


def say_sizes(spacing_mm: tuple[float, float, float] | None, canvas: Canvas, file: Path) -> None:
    """Say where a map that is taken voxel by voxel has pixels of another size than the clip.

    spacing_mm: (column, row, frame) as its header states it; None where it says nothing.
    """
    if spacing_mm is None or canvas.spacing_mm is None:
        return
    own = (spacing_mm[1], spacing_mm[0])
    if any(abs(a - b) > SAME * max(a, b) for a, b in zip(own, canvas.spacing_mm, strict=True)):
        label, clip = (" x ".join(f"{side:.4g}" for side in size) for size in (own, canvas.spacing_mm))
        canvas.say(
            f"{file.name} states pixels of {label} mm, the clip has {clip} mm: "
            "taken voxel by voxel; check that it is of this clip"
        )


def put(array: np.ndarray, placement: Placement, empty: int, canvas: Canvas, file: Path) -> np.ndarray:
    """A label map (frames, rows, columns) on the clip's grid; `empty` where it does not reach.

    Raises:
        InputError: where labels lie outside the clip.
    """
    turned = placement.turn(array)
    whole = np.full((canvas.frames, canvas.height, canvas.width), empty, array.dtype)
    starts = placement.start[::-1]
    inside = tuple(
        slice(max(0, -start), max(0, min(size, room - start)))
        for start, size, room in zip(starts, turned.shape, whole.shape, strict=True)
    )
    part = turned[inside]
    if np.count_nonzero(turned != empty) > np.count_nonzero(part != empty):
        raise InputError(
            file=file,
            found="labels outside the clip, by the affines of both",
            expected=f"labels within the clip's {canvas.width} x {canvas.height} x {canvas.frames} voxels",
            remedy="check that the label map is of this clip; `uscl-med3d inspect` shows both",
        )
    target = tuple(
        slice(max(0, start), max(0, start) + length) for start, length in zip(starts, part.shape, strict=True)
    )
    whole[target] = part
    return whole


def _as_turn(across: np.ndarray, shape: tuple[int, ...]) -> Placement | None:
    """The turn, mirror and shift by whole voxels that a matrix (label voxel -> clip voxel) is, if it is one."""
    turn = np.rint(across[:3, :3])
    if (np.abs(turn).sum(axis=0) != 1).any() or (np.abs(turn).sum(axis=1) != 1).any():
        return None
    shift = np.rint(across[:3, 3])
    ends = np.array(np.meshgrid(*((0, size - 1) for size in shape), indexing="ij")).reshape(3, -1)
    off = (across[:3, :3] - turn) @ ends + (across[:3, 3] - shift)[:, None]
    if np.abs(off).max() > NEAR:
        return None
    axes = [int(axis) for axis in np.abs(turn).argmax(axis=1)]
    flipped = [bool(turn[i, axis] < 0) for i, axis in enumerate(axes)]
    start = [int(shift[i]) - (shape[axis] - 1 if flipped[i] else 0) for i, axis in enumerate(axes)]
    return Placement(
        (axes[0], axes[1], axes[2]), (flipped[0], flipped[1], flipped[2]), (start[0], start[1], start[2])
    )


def _covers(found: Placement, shape: tuple[int, ...], canvas: Canvas) -> bool:
    """Whether a placed label map meets the clip in more than a border of voxels."""
    room = (canvas.width, canvas.height, canvas.frames)
    for axis in range(3):
        low = max(0, found.start[axis])
        high = min(room[axis], found.start[axis] + shape[found.axes[axis]])
        if high - low < min(2, room[axis], shape[found.axes[axis]]):
            return False
    return True


def _say_shift(found: Placement, shape: tuple[int, ...], canvas: Canvas, file: Path) -> None:
    """A map of the clip's own size that lies beside it by its affine: right if the affine is, so it is said."""
    turned = tuple(shape[axis] for axis in found.axes)
    if turned == (canvas.width, canvas.height, canvas.frames) and any(found.start):
        start = ", ".join(map(str, found.start))
        canvas.say(
            f"{file.name} has the clip's size and begins at its voxel ({start}) by the affines of both: moved there"
        )


def _say_assumption(affine: np.ndarray | None, canvas: Canvas, file: Path) -> None:
    if affine is None and canvas.affine is not None:
        canvas.say(f"{file.name} states no orientation: taken voxel by voxel, as the clip is stored")
    elif affine is not None and canvas.affine is None:
        directions = affine[:3, :3]
        plain = (
            np.abs(directions - np.diag(np.abs(np.diag(directions)))).max()
            <= PLAIN * np.abs(directions).max()
        )
        if not plain and not is_made_up(affine):
            canvas.say(
                f"the clip states no place in the patient, {file.name} has an orientation: taken voxel by voxel"
            )


def _refuse(
    affine: np.ndarray, across: np.ndarray, shape: tuple[int, ...], canvas: Canvas, file: Path
) -> InputError:
    assert canvas.affine is not None
    sizes = [np.linalg.norm(matrix[:3, :3], axis=0) for matrix in (affine, canvas.affine)]
    label, clip = (" x ".join(f"{side:.4g}" for side in size) for size in sizes)
    first = across @ np.array([0, 0, 0, 1.0])
    return InputError(
        file=file,
        found=f"{' x '.join(map(str, shape))} voxels of {label} mm whose first lies at voxel "
        f"({first[0]:.2f}, {first[1]:.2f}, {first[2]:.2f}) of the clip, by the affines of both",
        expected=f"the clip's voxels ({canvas.width} x {canvas.height} x {canvas.frames} of {clip} mm), turned or not",
        remedy="resample the label map onto the clip's grid, or save it with the affine of the clip if it is the same grid",
    )
