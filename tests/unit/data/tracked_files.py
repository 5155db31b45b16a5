"""Tracked sweeps of a known scene, as PLUS writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import SimpleITK

CALIBRATION = np.array([[0.4, 0, 0, -12.0], [0, 0.5, 0, 3.0], [0, 0, 0.5, 1.0], [0, 0, 0, 1.0]])
"""Stored pixel to probe: 0.4 x 0.5 mm."""
SIZE = (48, 64)  # rows, columns


def scene(points: np.ndarray) -> np.ndarray:
    """Grey value 20..235 at millimetres (3, n): slow waves, different along every axis."""
    x, y, z = points
    return 127.5 + 35 * np.sin(x / 4) + 35 * np.sin(y / 5 + 1) + 37 * np.sin(z / 6 + 2)


def hand_poses(count: int = 15, step_mm: float = 1.0) -> list[np.ndarray]:
    """Probe to tracker: a sweep along tracker's x with a tilt that grows, and a trembling hand."""
    random = np.random.default_rng(4)
    poses = []
    for frame in range(count):
        angle = np.deg2rad(-4 + 8 * frame / max(1, count - 1))
        turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        # The image's normal (probe z) looks along tracker x.
        axes = np.array([[0, 0, 1.0], [1, 0, 0], [0, 1, 0]]) @ turn
        pose = np.eye(4)
        pose[:3, :3] = axes
        pose[:3, 3] = np.array([100 + step_mm * frame, 20, 5]) + random.normal(0, 0.1, 3)
        poses.append(pose)
    return poses


REFERENCE = np.array([[0, -1.0, 0, 40.0], [1, 0, 0, -7.0], [0, 0, 1, 12.0], [0, 0, 0, 1]])
"""Reference to tracker."""


def to_world(pose: np.ndarray) -> np.ndarray:
    """Stored pixel to millimetres of the reference."""
    return np.linalg.inv(REFERENCE) @ pose @ CALIBRATION


def see(pose: np.ndarray) -> np.ndarray:
    """The frame, uint8 (rows, columns), that a probe at `pose` shows of the scene."""
    y, x = np.indices(SIZE)
    pixels = np.stack([x.ravel(), y.ravel(), 0 * x.ravel(), 1 + 0 * x.ravel()]).astype(float)
    return np.rint(scene((to_world(pose) @ pixels)[:3])).reshape(SIZE).astype(np.uint8)


def text(matrix: np.ndarray) -> str:
    return " ".join(f"{value:.9g}" for value in matrix.ravel())


def write_sweep(
    path: Path,
    poses: Sequence[np.ndarray],
    frames: np.ndarray | None = None,
    fields: Mapping[str, str] | None = None,
    calibrated: bool = False,
) -> Path:
    """Write a sequence file; `fields` replace those of the header, an empty text removes one."""
    if frames is None:
        frames = np.stack([see(pose) for pose in poses])
    image = SimpleITK.GetImageFromArray(frames)
    header = {"UltrasoundImageOrientation": "MFA"}
    for number, pose in enumerate(poses):
        for name, matrix in (("ProbeToTracker", pose), ("ReferenceToTracker", REFERENCE)):
            header[f"Seq_Frame{number:04d}_{name}Transform"] = text(matrix)
            header[f"Seq_Frame{number:04d}_{name}TransformStatus"] = "OK"
    if calibrated:
        header["ImageToProbeTransform"] = text(CALIBRATION)
    for key, value in (header | dict(fields or {})).items():
        if value:
            image.SetMetaData(key, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(image, str(path), useCompression=True)
    return path


def write_calibration(path: Path) -> Path:
    """A PLUS configuration with the calibration and a transform that is not asked for."""
    path.write_text(
        '<PlusConfiguration version="2.1"><CoordinateDefinitions>'
        f'<Transform From="Image" To="Probe" Matrix="{text(CALIBRATION)}" Error="0.5"/>'
        f'<Transform From="StylusTip" To="Stylus" Matrix="{text(np.eye(4))}"/>'
        "</CoordinateDefinitions></PlusConfiguration>"
    )
    return path
