"""Key frames as a 3D Slicer segmentation (.seg.nrrd) of the clip: i, j, k = column, row, frame.

Segments are matched to classes by their names; each has a layer and a value in it. Where the clip has an affine, that of
the segmentation says which voxel is which; else a file may hold a part of the clip, and its offset says where. Frames
with a segment are key frames; an empty frame says nothing.
Source: Slicer's developer guide, modules/segmentations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from uscl_med3d.data.annotations.base import Canvas, Shape, check_beside, damaged, expecting, paint
from uscl_med3d.data.annotations.geometry import AS_IT_IS, place, put, say_sizes
from uscl_med3d.data.volumes import read_header

EXPECTED = "a 3D Slicer segmentation (*.seg.nrrd, or any NRRD file with its fields)"
SEGMENT = re.compile(r"Segment(\d{1,4})_(Name|LabelValue|Layer)")
OFFSET = "Segmentation_ReferenceImageExtentOffset"


def read(path: Path, canvas: Canvas) -> dict[int, np.ndarray]:
    """Frame index -> label map uint8 (h, w). Raises `InputError`."""
    check_beside(path)
    with expecting(EXPECTED):
        header = read_header(path)
    if len(header.shape) != 3:
        raise damaged(path, f"{len(header.shape)} axes", "3 axes (columns, rows, frames)")
    placement = place(header.affine, header.shape, canvas, path)
    if placement is None:  # before anything is unpacked
        _check_extent(header.shape, header.fields, canvas, path)
        say_sizes(header.spacing_mm, canvas, path)
        i, j, k = _read_offset(header.fields, path)
        placement = replace(AS_IT_IS, start=(i, j, k))
    segments = _list_segments(dict(header.fields), header.components, path)
    with expecting(EXPECTED):
        array = header.read()
    layers = array[..., None] if array.ndim == 3 else array
    shapes = []
    for name, layer, value in segments:
        whole = put(layers[..., layer] == value, placement, 0, canvas, path)
        shapes += [Shape(int(k), name, whole[k]) for k in np.flatnonzero(whole.any(axis=(1, 2)))]
    return paint(shapes, canvas, path)


def file_of(path: Path, frame: int) -> Path:
    """The file that holds the mask of a frame, for messages."""
    return path


def _read_offset(facts: Mapping[str, str], path: Path) -> tuple[int, int, int]:
    try:
        i, j, k = (int(number) for number in facts.get(OFFSET, "0 0 0").split())
    except ValueError as error:
        raise damaged(path, f"{OFFSET} {facts[OFFSET]!r:.60}", "three whole numbers") from error
    return i, j, k


def _check_extent(size: tuple[int, ...], facts: Mapping[str, str], canvas: Canvas, path: Path) -> None:
    whole = (canvas.width, canvas.height, canvas.frames)
    offset = _read_offset(facts, path)
    inside = len(size) == 3 and all(
        start >= 0 and start + length <= room for start, length, room in zip(offset, size, whole, strict=True)
    )
    # A smaller grid is a part of the clip only where the file says which.
    if not inside or (size != whole and OFFSET not in facts):
        raise damaged(
            path,
            f"{' x '.join(map(str, size))} voxels from {offset}",
            f"{' x '.join(map(str, whole))} (columns, rows, frames), the clip's grid, or a part of it with {OFFSET}",
        )


def _list_segments(facts: dict[str, Any], layers: int, path: Path) -> list[tuple[str, int, int]]:
    """(name, layer, value) of every segment, in the order of their numbers."""
    found: dict[int, dict[str, str]] = {}
    for key, value in facts.items():
        if match := SEGMENT.fullmatch(key):
            found.setdefault(int(match[1]), {})[match[2]] = value
    segments = []
    for number, entry in sorted(found.items()):
        # Files of Slicer before 4.11 have one layer of zeros and ones for each segment.
        old = "LabelValue" not in entry and "Layer" not in entry
        layer = number if old else int(entry.get("Layer", 0))
        if "Name" not in entry or not 0 <= layer < layers:
            raise damaged(
                path,
                f"segment {number}: name {entry.get('Name')!r}, layer {layer}",
                f"a name, and a layer below {layers}",
            )
        segments.append((entry["Name"], layer, int(entry.get("LabelValue", 1))))
    if not segments:
        raise damaged(path, "no segment", "Segment0_Name and so on in the header")
    return segments
