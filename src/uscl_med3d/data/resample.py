"""Area-weighted resampling in the image plane, and regular reduction along the sweep.

Weights are sparse and sums run in a fixed order on one thread, so every machine gets the same volume.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy import sparse


@dataclass(frozen=True)
class Grid:
    """Position of a volume's voxels in the source clip.

    Voxel i along h covers the source rows from h_start_px + i * h_step_px to h_start_px + (i + 1) * h_step_px
    (edges, in pixels; row r covers r to r + 1); the same along w. Voxel i along d covers the source frames
    from i * frame_step to (i + 1) * frame_step.
    """

    frame_step: float
    frame_size: int
    h_start_px: float
    h_step_px: float
    h_size: int
    w_start_px: float
    w_step_px: float
    w_size: int

    def as_dict(self) -> dict[str, float]:
        """For the sidecar."""
        return asdict(self)

    def index_of(self, frame: int) -> int:
        """Position along d of the voxel that holds the middle of a source frame."""
        return min(int((frame + 0.5) / self.frame_step), self.frame_size - 1)

    def off_centre(self, frame: int) -> float:
        """Distance of a source frame from the middle of its voxel along d, in source frames."""
        return abs(frame + 0.5 - (self.index_of(frame) + 0.5) * self.frame_step)


def plan_frames(frames: int, max_frames: int) -> tuple[float, int]:
    """(source frames per voxel along d, number of voxels): at most `max_frames`, evenly spaced."""
    size = min(frames, max_frames)
    return frames / size, size


def plan_axis(start: int, stop: int, step_px: float) -> tuple[float, int]:
    """First edge (pixels) and number of pixels of `step_px` that cover [start, stop), centred on it."""
    size = max(1, int(np.ceil((stop - start) / step_px - 1e-6)))
    return (start + stop - size * step_px) / 2, size


def one_per_voxel(frames: list[int], grid: Grid) -> tuple[list[int], list[tuple[int, int]]]:
    """Key frames to use, and (unused, used instead) where several fall into one voxel along d."""
    best: dict[int, int] = {}
    for frame in frames:
        index = grid.index_of(frame)
        if index not in best or grid.off_centre(frame) < grid.off_centre(best[index]):
            best[index] = frame
    used = sorted(best.values())
    return used, [(frame, best[grid.index_of(frame)]) for frame in frames if frame not in used]


def area_weights(source_size: int, start_px: float, step_px: float, size: int) -> sparse.csr_matrix:
    """Overlap of output pixels with source pixels as a share of the output pixel, sparse (size, source_size).

    A row sums to 1 where its pixel lies inside the source, to less where it reaches over the border.
    """
    rows, columns, values = [], [], []
    for i in range(size):
        low, high = start_px + i * step_px, start_px + (i + 1) * step_px
        for j in range(max(0, int(np.floor(low))), min(source_size, int(np.ceil(high)))):
            overlap = min(high, j + 1) - max(low, j)
            if overlap > 1e-9:
                rows.append(i)
                columns.append(j)
                values.append(overlap / step_px)
    return sparse.csr_matrix((np.array(values, np.float32), (rows, columns)), shape=(size, source_size))


def shrink(image: np.ndarray, rows: sparse.csr_matrix, columns: sparse.csr_matrix) -> np.ndarray:
    """Area-weighted mean of a float32 (h, w) image on the grid of the two weight matrices."""
    return (columns @ np.ascontiguousarray((rows @ image).T)).T


def frame_weights(frames: int, grid: Grid, reduction: str) -> sparse.csr_matrix:
    """Weights of the source frames in each voxel along d, rows summing to 1, sparse (frame_size, frames).

    `average`: all frames that a voxel covers, by overlap; `pick`: the one in its middle.
    """
    if reduction == "average":
        return area_weights(frames, 0.0, grid.frame_step, grid.frame_size)
    picked = [min(int((i + 0.5) * grid.frame_step), frames - 1) for i in range(grid.frame_size)]
    ones = np.ones(grid.frame_size, np.float32)
    return sparse.csr_matrix((ones, (range(grid.frame_size), picked)), shape=(grid.frame_size, frames))


class PlaneResampler:
    """Maps frames and label maps of one clip onto the volume's grid; outside the fan everything is zero."""

    def __init__(self, fan: np.ndarray, grid: Grid) -> None:
        height, width = fan.shape
        self.fan = fan
        self.rows = area_weights(height, grid.h_start_px, grid.h_step_px, grid.h_size)
        self.columns = area_weights(width, grid.w_start_px, grid.w_step_px, grid.w_size)
        self.coverage = shrink(fan.astype(np.float32), self.rows, self.columns)
        self.inside = self.coverage >= 0.5

    def grey(self, frame: np.ndarray) -> np.ndarray:
        """Mean grey value over the fan's pixels, float32 (h, w): furniture beside the fan never bleeds in."""
        total = shrink(np.where(self.fan, frame, 0).astype(np.float32), self.rows, self.columns)
        return total / np.maximum(self.coverage, 1e-6)

    def to_uint8(self, grey: np.ndarray) -> np.ndarray:
        """Grey values to 1..255 inside the fan and 0 outside, so that the fan can be read off the volume."""
        return np.where(self.inside, np.clip(np.rint(grey), 1, 255), 0).astype(np.uint8)

    def label_map(
        self, masks: Sequence[np.ndarray] | np.ndarray, weights: Sequence[float] | np.ndarray
    ) -> np.ndarray:
        """The label of the largest area in each pixel, uint8 (h, w).

        masks: label maps uint8 (h, w) on the clip's grid that share one voxel along d by `weights`. Equal
        areas go to the smaller label value, so to background first.
        """
        present = np.zeros(256, bool)
        present[0] = True
        for mask in masks:
            present |= np.bincount(mask.ravel(), minlength=256) > 0
        values = np.flatnonzero(present)
        shares = np.zeros((len(values), *self.inside.shape), np.float32)
        for share, value in zip(shares, values, strict=True):
            for mask, weight in zip(masks, weights, strict=True):
                share += weight * shrink((mask == value).astype(np.float32), self.rows, self.columns)
        return values.astype(np.uint8)[np.argmax(shares, axis=0)]
