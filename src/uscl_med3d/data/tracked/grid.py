"""The regular grid of millimetres that a tracked sweep is brought to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.fan import bounding_box
from uscl_med3d.data.tracked.poses import Track

MOST_VOXELS = 2**25  # 322 voxels to the third: about 2 GB while it is made


@dataclass(frozen=True)
class VolumeGrid:
    """Middles of voxels: origin_mm + axes @ (x, y, z) * spacing_mm.

    origin_mm: (3,). axes: (3, 3), one unit vector per column. size: voxels along x, y, z.
    """

    origin_mm: np.ndarray
    axes: np.ndarray
    spacing_mm: float
    size: tuple[int, int, int]

    def to_voxel(self, matrix: np.ndarray) -> np.ndarray:
        """(4, 4) from what `matrix` maps to millimetres to voxels (x, y, z), not rounded."""
        result = np.eye(4)
        result[:3, :3] = np.linalg.inv(self.axes) / self.spacing_mm
        result[:3, 3] = -result[:3, :3] @ self.origin_mm
        return result @ matrix


def plan_volume(track: Track, region: np.ndarray, spacing_mm: float, axes: str, path: Path) -> VolumeGrid:
    """The grid that covers the image region of all frames with a pose.

    Args:
        track: poses.
        region: bool (rows, columns), image region of the frames.
        spacing_mm: of the voxels, along all axes.
        axes: `sweep`: x and y as columns and rows of the middle frame, z across them in the direction of the sweep;
            `world`: those of the poses.
        path: named in errors.

    Raises:
        InputError: for a grid of more than MOST_VOXELS, before anything is allocated.
    """
    directions = sweep_axes(track) if axes == "sweep" else np.eye(3)
    top, bottom, left, right = bounding_box(region)
    corners = np.array([[x, y, 0, 1] for x in (left, right - 1) for y in (top, bottom - 1)], float).T
    points = np.concatenate([(pose @ corners)[:3] for pose in track.poses.values()], axis=1)
    along = directions.T @ points
    low, extent = along.min(1), np.ptp(along, axis=1)
    voxels = np.ceil(extent / spacing_mm) + 1
    if not np.isfinite(voxels).all() or voxels.prod() > MOST_VOXELS:
        raise InputError(
            file=path,
            found=f"a sweep of {' x '.join(f'{length:.4g}' for length in extent)} mm, hence "
            f"{voxels.prod():.3g} voxels of {spacing_mm:g} mm",
            expected=f"at most {MOST_VOXELS} voxels",
            remedy="choose a larger spacing; a sweep of metres has a wrong pose or a wrong calibration",
        )
    x, y, z = (int(count) for count in voxels)
    return VolumeGrid(directions @ low, directions, spacing_mm, (x, y, z))


def sweep_axes(track: Track) -> np.ndarray:
    """(3, 3): columns, rows and the way of the sweep at the middle frame, as unit vectors in columns."""
    frames = sorted(track.poses)
    middle = track.poses[frames[len(frames) // 2]]
    x = middle[:3, 0] / np.linalg.norm(middle[:3, 0])
    y = middle[:3, 1] - (middle[:3, 1] @ x) * x
    y /= np.linalg.norm(y)
    z = np.cross(x, y)
    way = (track.poses[frames[-1]] - track.poses[frames[0]])[:3, 3]
    return np.stack([x, y, -z if way @ z < 0 else z], axis=1)


def frame_steps_mm(track: Track, pixel: tuple[float, float]) -> np.ndarray:
    """Distances that one pixel (column, row) travels between neighbouring frames that both have a pose."""
    point = np.array([*pixel, 0, 1.0])
    pairs = [(frame, frame + 1) for frame in sorted(track.poses) if frame + 1 in track.poses]
    return np.array([np.linalg.norm(((track.poses[b] - track.poses[a]) @ point)[:3]) for a, b in pairs])
