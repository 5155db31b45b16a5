"""Frames by their places in space: order, distances, gaps."""

from __future__ import annotations

import numpy as np

from uscl_med3d.data.clips.base import Note

LEAST_STEP_MM = 1e-6
EVEN = 0.05  # steps between frames may differ by this share of the usual one and still count as one distance
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def order_along(points: np.ndarray, plane: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Order of frames along their normal, and the distance of each along it.

    Args:
        points: of the first pixels, (frames, 3) in millimetres. plane: directions of row and column, 6 numbers; None: along
            the line from the first to the last point.
    """
    if plane is not None:
        normal = np.cross(plane[:3], plane[3:])
    else:
        _, _, axes = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
        normal = axes[0] * (np.sign(axes[0][np.abs(axes[0]).argmax()]) or 1.0)
    along = points @ normal
    # Frames of one place (a still probe) keep their order.
    return np.argsort(np.round(along, 4), kind="stable"), along


def place_frames(points: np.ndarray, plane: np.ndarray, spacing_mm: tuple[float, float]) -> np.ndarray | None:
    """(4, 4) voxel (column, row, frame) -> RAS millimetres, by the mean step; None where frames do not move.

    points: (frames, 3) in LPS, in order. plane: directions of row and column. spacing_mm: (row, column).
    """
    right, down = plane[:3], plane[3:]
    step = (points[-1] - points[0]) / (len(points) - 1) if len(points) > 1 else np.cross(right, down)
    if np.linalg.norm(step) < LEAST_STEP_MM:
        return None
    affine = np.eye(4)
    columns = (right * spacing_mm[1], down * spacing_mm[0], step, points[0])
    for axis, column in enumerate(columns):
        affine[:3, axis] = column
    return np.asarray(LPS_TO_RAS @ affine)


def describe_steps(along: np.ndarray) -> tuple[float | None, Note | None]:
    """The one distance between frames, None where it varies, and what there is to say.

    along: distance of each frame in millimetres, sorted.
    """
    steps = np.abs(np.diff(along))
    if not len(steps) or steps.mean() <= LEAST_STEP_MM:
        return None, None
    usual = float(np.median(steps))
    if np.abs(steps - steps.mean()).max() <= EVEN * steps.mean():
        return float(steps.mean()), None
    apart = f"frames are {steps.min():.3g} to {steps.max():.3g} mm apart (usually {usual:.3g})"
    text = f"{apart}: no one distance along the sweep"
    if gaps := find_gaps(along):
        missing = sum(count for _, count in gaps)
        text += f"; {missing} frame(s) missing, first after frame {gaps[0][0]}"
    return None, Note(text)


def find_gaps(along: np.ndarray) -> list[tuple[int, int]]:
    """(frame before, missing) of every step that is a multiple of the usual one, where most steps are alike."""
    steps = np.abs(np.diff(along))
    usual = float(np.median(steps)) if len(steps) else 0.0
    if usual <= LEAST_STEP_MM or np.mean(np.abs(steps - usual) <= EVEN * usual) < 0.5:
        return []
    times = np.rint(steps / usual).astype(int)
    return [
        (int(i), int(times[i]) - 1)
        for i in np.flatnonzero((times > 1) & (np.abs(steps / usual - times) < 0.2))
    ]


def off_by_mm(along: np.ndarray) -> float:
    """Largest distance of a frame from the place that even steps from the first to the last give it."""
    even = np.linspace(along[0], along[-1], len(along))
    return float(np.abs(along - even).max())
