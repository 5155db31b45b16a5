"""Poses of a tracked sweep, from the header of a PLUS sequence file (.igs.mha, .igs.nrrd and the like).

`Seq_Frame0000_ProbeToTrackerTransform` and its status stand there for every frame; chains of such transforms, inverted
where needed, lead from the image to the coordinate system of the volume.
Source: PLUS user manual, sequence file.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.tracked.calibration import SEQUENCE, Transforms, is_usable
from uscl_med3d.data.volumes import read_fields as list_fields
from uscl_med3d.data.volumes import read_itk_header

FIELD = re.compile(r"Seq_Frame(\d{4,6})_([A-Za-z0-9]+?)To([A-Z][A-Za-z0-9]*)Transform(Status)?")
FIXED = re.compile(r"([A-Za-z0-9]+?)To([A-Z][A-Za-z0-9]*)Transform")
WORLDS = ("Reference", "Tracker", "World")
"""Coordinate systems of the volume, the preferred one first."""
ORIENTATION = "UltrasoundImageOrientation"
FLIPS = {"MF": (False, False), "UF": (True, False), "MN": (False, True), "UN": (True, True)}
"""Stored orientation -> whether columns and rows run the other way than in the image that poses refer to."""


@dataclass(frozen=True)
class Track:
    """Where the frames of a sweep lie.

    Attributes:
        frames: frames of the file.
        world: coordinate system of the poses.
        poses: frame -> (4, 4), stored pixel (column, row, 0, 1) -> millimetres; only frames with a valid pose.
        lost: frame -> why it has no pose.
        unnamed: frames of the file that no field of the header speaks of.
    """

    frames: int
    world: str
    poses: Mapping[int, np.ndarray]
    lost: Mapping[int, str]
    unnamed: tuple[int, ...] = ()


def read_fields(path: Path) -> tuple[dict[str, str], tuple[int, ...]]:
    """Text fields of a volume's header, and its size (columns, rows, frames). Raises `InputError`."""
    reader = read_itk_header(path)
    fields = {key: value.strip() for key, value in list_fields(reader).items()}
    return fields, reader.GetSize()


def is_tracked(path: Path) -> bool:
    """Whether a file's header has a transform for a frame."""
    if not path.name.lower().endswith((".mha", ".mhd", ".nrrd", ".nhdr")):
        return False
    return any(FIELD.fullmatch(key) for key in read_fields(path)[0])


def read_track(
    path: Path, calibration: Transforms, source: str, image: tuple[int, int] | None = None
) -> Track:
    """Poses of every frame. A matrix that is the identity in some frames only says that nothing was measured there.

    Args:
        path: sequence file.
        calibration: fixed transforms beside those of the header, which they replace.
        source: `Image`, or `Probe` where only the way of the probe is wanted.
        image: (columns, rows) of the frames, where they are in another file.

    Raises:
        InputError: no transforms, transforms of frames that the file does not have, no chain from `source` to a world in
            any frame, or an orientation that is unknown.
    """
    fields, size = read_fields(path)
    columns, rows, frames = size if len(size) == 3 else (*size, 1)[:3]
    columns, rows = image or (columns, rows)
    fixed, moving, problems = _sort_fields(fields, calibration)
    _drop_lonely_identities(moving, problems)
    if not moving:
        raise _error(path, "no transform of any frame (Seq_Frame0000_...Transform)", "a tracked sweep")
    if max(moving) >= frames:
        raise _error(
            path, f"transforms of {max(moving) + 1} frames, and {frames} frames", "a transform for each frame"
        )
    known = sorted({f"{a}To{b}" for edges in (fixed, *moving.values()) for a, b in edges})
    world, chains = _choose_world(source, fixed, moving)
    if world is None:
        raise _error(
            path,
            f"no way from {source} to {', '.join(WORLDS)}; transforms: {', '.join(known) or 'none that is valid'}",
            f"a chain of transforms; where the image lies at the probe (ImageToProbe) is in the header or in a "
            f"calibration file {SEQUENCE.sub('', path.name)}.calibration.xml or .txt beside it",
        )
    flip = _flip(fields.get(ORIENTATION, "MFA"), columns, rows, path) if source == "Image" else np.eye(4)
    poses, lost = {}, {}
    for frame in range(frames):
        chain = chains.get(frame)
        if fields.get(f"Seq_Frame{frame:04d}_ImageStatus", "OK").upper() != "OK":
            lost[frame] = "its image is marked as invalid"
        elif chain is None:
            lost[frame] = problems.get(frame, f"no way from {source} to {world}")
        else:
            poses[frame] = chain @ flip
    if not poses:
        raise _error(path, f"none of {frames} frames has a valid pose", "a tracked sweep")
    unnamed = tuple(frame for frame in range(frames) if frame not in moving)
    return Track(frames, world, poses, lost, unnamed)


def _sort_fields(
    fields: Mapping[str, str], calibration: Transforms
) -> tuple[Transforms, dict[int, Transforms], dict[int, str]]:
    """Transforms of the whole file, transforms of each frame, and what is wrong in a frame."""
    fixed: Transforms = {}
    moving: dict[int, Transforms] = {}
    problems: dict[int, str] = {}
    for key, text in fields.items():
        per_frame, once = FIELD.fullmatch(key), FIXED.fullmatch(key)
        if per_frame and per_frame[4] is None:
            frame, names = int(per_frame[1]), (per_frame[2], per_frame[3])
            moving.setdefault(frame, {})
            status = fields.get(f"{key}Status", "OK")
            matrix = _matrix(text)
            if status.upper() != "OK":
                problems.setdefault(frame, f"{names[0]}To{names[1]} is not marked as OK")
            elif matrix is None:
                problems.setdefault(frame, f"{names[0]}To{names[1]} is no usable matrix")
            else:
                moving[frame][names] = matrix
        elif once and (matrix := _matrix(text)) is not None:
            fixed[once[1], once[2]] = matrix
    fixed |= calibration
    moving = {
        frame: {names: m for names, m in edges.items() if names not in calibration}
        for frame, edges in moving.items()
    }
    return fixed, moving, problems


def _drop_lonely_identities(moving: dict[int, Transforms], problems: dict[int, str]) -> None:
    """Take out, in place, identity matrices of a transform that is something else in most frames."""
    names = {name for edges in moving.values() for name in edges}
    for name in sorted(names):
        still = [
            frame
            for frame, edges in moving.items()
            if name in edges and np.array_equal(edges[name], np.eye(4))
        ]
        if 2 * len(still) >= sum(name in edges for edges in moving.values()):
            continue
        for frame in still:
            del moving[frame][name]
            problems.setdefault(frame, f"{name[0]}To{name[1]} is the identity: nothing was measured")


def _matrix(text: str) -> np.ndarray | None:
    try:
        values = np.array([float(number) for number in text.split()])
    except ValueError:
        return None
    return values.reshape(4, 4) if values.size == 16 and is_usable(values.reshape(4, 4)) else None


def _choose_world(
    source: str, fixed: Transforms, moving: Mapping[int, Transforms]
) -> tuple[str | None, dict[int, np.ndarray]]:
    """The first of WORLDS that any frame reaches, and the map of each frame that reaches it."""
    for world in WORLDS:
        chains = {frame: chain_transforms(source, world, fixed | edges) for frame, edges in moving.items()}
        reached = {frame: chain for frame, chain in chains.items() if chain is not None}
        if reached:
            return world, reached
    return None, {}


def chain_transforms(source: str, target: str, edges: Transforms) -> np.ndarray | None:
    """(4, 4) from one coordinate system to another through the fewest transforms; None where they are not connected."""
    steps: dict[str, list[tuple[str, np.ndarray]]] = {}
    for (a, b), matrix in sorted(edges.items(), key=lambda item: item[0]):
        steps.setdefault(a, []).append((b, matrix))
        steps.setdefault(b, []).append((a, np.linalg.inv(matrix)))
    reached, queue = {source: np.eye(4)}, deque([source])
    while queue:
        here = queue.popleft()
        for there, matrix in steps.get(here, []):
            if there not in reached:
                reached[there] = matrix @ reached[here]
                queue.append(there)
    return reached.get(target) if target != source else None


def _flip(orientation: str, columns: int, rows: int, path: Path) -> np.ndarray:
    """Stored pixel -> pixel of the image as poses see it: marked side first (M), far from the probe last (F)."""
    known = FLIPS.get(orientation[:2].upper())
    if known is None:
        raise _error(
            path,
            f"{ORIENTATION} {orientation!r:.20}",
            f"one of {', '.join(FLIPS)} (with A for ascending frames)",
        )
    flip = np.eye(4)
    for axis, (turned, length) in enumerate(zip(known, (columns, rows), strict=True)):
        if turned:
            flip[axis, axis], flip[axis, 3] = -1, length - 1
    return flip


def _error(path: Path, found: str, expected: str) -> InputError:
    return InputError(
        file=path,
        found=found,
        expected=expected,
        remedy="export the sweep with its transforms, or take it as an untracked stack",
    )
