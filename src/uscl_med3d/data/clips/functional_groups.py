"""Geometry of enhanced multi-frame DICOM, 3D ultrasound among it: pixel size and places of frames (PS3.3, C.7.6.16)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.clips.base import Note
from uscl_med3d.data.clips.places import describe_steps, order_along, place_frames
from uscl_med3d.data.clips.regions import positive

# (sequence, attribute) of place and direction: in the patient, or in the volume's own frame of reference
PATIENT = (
    ("PlanePositionSequence", "ImagePositionPatient"),
    ("PlaneOrientationSequence", "ImageOrientationPatient"),
)
VOLUME = (
    ("PlanePositionVolumeSequence", "ImagePositionVolume"),
    ("PlaneOrientationVolumeSequence", "ImageOrientationVolume"),
)


@dataclass(frozen=True)
class Geometry:
    """What the functional groups say; everything None in a file without them.

    order: stored number of each frame, sorted by position. affine: voxel of the sorted frames -> RAS millimetres.
    """

    pixel_spacing_mm: tuple[float, float] | None = None
    frame_spacing_mm: float | None = None
    order: tuple[int, ...] | None = None
    affine: np.ndarray | None = None
    notes: tuple[Note, ...] = field(default=())


def read(header: Any, frames: int, path: Path) -> Geometry:
    """Geometry of a header with functional groups.

    Raises:
        InputError: for frames of several pixel sizes, and for several frames at each of several places (a volume in time).
    """
    shared = _first(header, "SharedFunctionalGroupsSequence")
    each = list(header.get("PerFrameFunctionalGroupsSequence") or [])
    if shared is None and not each:
        return Geometry()
    notes: list[Note] = []
    if each and len(each) != frames:
        notes.append(
            Note(
                f"functional groups of {len(each)} frames for {frames} frames: places of frames are not used"
            )
        )
        each = []
    spacing = _pixel_spacing(shared, each, path)
    for place, direction in (PATIENT, VOLUME):
        positions = [_vector(shared, group, *place, 3) for group in each]
        directions = [_vector(shared, group, *direction, 6) for group in each]
        if each and all(value is not None for value in positions):
            break
    else:
        return Geometry(spacing, None, None, None, tuple(notes))
    points = np.array(positions, float)
    if any(value is None for value in directions):
        notes.append(
            Note("frames have places and no directions: sorted along the line that their places lie on")
        )
        order, along = order_along(points, None)
        affine = None
    else:
        planes = np.array(directions, float)
        order, along = order_along(points, planes[0])
        aligned = bool(np.abs(planes - planes[0]).max() < 1e-3)
        patient = place is PATIENT[0] and aligned and spacing is not None
        affine = place_frames(points[order], planes[0], spacing) if patient and spacing is not None else None
    distinct = len(np.unique(np.round(along, 4)))
    if distinct == 1:
        return Geometry(spacing, None, None, None, tuple(notes))
    if distinct < frames:
        found = f"{frames} frames at {distinct} places: several volumes in time, or several views"
        raise _error(path, found, "one frame at each place")
    frame_mm, note = describe_steps(along[order])
    notes += [note] if note is not None else []
    stored = tuple(int(i) for i in order)
    if stored != tuple(range(frames)):
        notes.append(Note("frames are stored in another order than their positions: sorted by position"))
    return Geometry(spacing, frame_mm, stored, affine, tuple(notes))


def _pixel_spacing(shared: Any, each: list[Any], path: Path) -> tuple[float, float] | None:
    found = set()
    for group in each or [None]:
        values = _vector(shared, group, "PixelMeasuresSequence", "PixelSpacing", 2)
        found.add(None if values is None else (positive(values[0]), positive(values[1])))
    if len(found) > 1:
        raise _error(path, f"frames of {len(found)} pixel sizes", "frames of one pixel size")
    h, w = next(iter(found)) or (None, None)
    return (h, w) if h and w else None


def _vector(shared: Any, group: Any, sequence: str, attribute: str, count: int) -> list[float] | None:
    """Numbers of a frame's own group, else of the shared one."""
    for place in (group, shared):
        item = None if place is None else _first(place, sequence)
        values = None if item is None else item.get(attribute)
        if values is not None and len(values) == count:
            return [float(value) for value in values]
    return None


def _first(dataset: Any, sequence: str) -> Any:
    items = dataset.get(sequence) or []
    return items[0] if len(items) else None


def _error(path: Path, found: str, expected: str) -> InputError:
    return InputError(
        file=path,
        found=found,
        expected=expected,
        remedy="export one volume, or the frames of one view, as a file of its own",
    )
