"""Freehand probe path: even progress with a trembling hand, and a slow tilt."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from uscl_med3d.core.params.simulate import Acquisition
from uscl_med3d.simulate.shapes import rotation


def _smooth_walk(rng: np.random.Generator, frames: int, columns: int, sd: float) -> np.ndarray:
    """Slow wandering (frames, columns) with standard deviation `sd`."""
    walk = gaussian_filter1d(rng.standard_normal((frames + 40, columns)), 8, axis=0)[20:-20]
    return sd * walk / max(walk.std(), 1e-9)


def draw_path(rng: np.random.Generator, acquisition: Acquisition) -> tuple[np.ndarray, np.ndarray]:
    """Positions (f, 3) in millimetres and rotations (f, 3, 3) of the image plane per frame."""
    frames = int(rng.integers(acquisition.frames[0], acquisition.frames[1] + 1))
    step = rng.uniform(*acquisition.frame_step_mm)
    steps = step * np.clip(1 + acquisition.step_jitter * rng.standard_normal(frames), 0.3, 2)
    progress = np.cumsum(steps)
    progress -= progress.mean()
    positions = np.zeros((frames, 3))
    positions[:, 2] = progress
    positions += rng.normal(0, acquisition.position_jitter_mm, (frames, 3))
    positions[:, 0] += _smooth_walk(rng, frames, 1, 2.5)[:, 0]
    positions[:, 1] += _smooth_walk(rng, frames, 1, 0.8)[:, 0]
    angles = _smooth_walk(rng, frames, 3, acquisition.hand_rotation_deg)
    angles[:, 0] += rng.uniform(-1, 1) * acquisition.tilt_deg * progress / np.abs(progress).max()
    if rng.uniform() < 0.5:
        positions, angles = positions[::-1], angles[::-1]
    return positions, np.stack([rotation(angle) for angle in angles])


def place_points(
    lateral_mm: np.ndarray, below_mm: np.ndarray, positions: np.ndarray, rotations: np.ndarray
) -> np.ndarray:
    """Body coordinates (3, n * f) of n image points in every frame, frame varying fastest."""
    x, y = lateral_mm[:, None], below_mm[:, None]
    points = [rotations[:, i, 0] * x + rotations[:, i, 1] * y + positions[:, i] for i in range(3)]
    return np.stack(points).reshape(3, -1).astype(np.float32)
