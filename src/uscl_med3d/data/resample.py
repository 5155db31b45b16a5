"""Area-weighted resampling in the image plane, and regular reduction along the sweep.

Weights are sparse and sums run in a fixed order on one thread, so every machine gets the same volume.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from scipy import sparse


@dataclass(frozen=True)
class Grid:
    """Position of a volume's pixels in the source clip.

    Pixel i along h covers the source rows from h_start_px + i * h_step_px to h_start_px + (i + 1) * h_step_px
    (edges, in pixels; row r covers r to r + 1); the same along w. Frame i covers the source frames from i *
    frame_step to (i + 1) * frame_step.
    """

    frame_step: int
    h_start_px: float
    h_step_px: float
    h_size: int
    w_start_px: float
    w_step_px: float
    w_size: int

    def as_dict(self) -> dict[str, float]:
        """For the sidecar."""
        return asdict(self)


def plan_axis(start: int, stop: int, step_px: float) -> tuple[float, int]:
    """First edge (pixels) and number of pixels of `step_px` that cover [start, stop), centred on it."""
    size = max(1, int(np.ceil((stop - start) / step_px - 1e-6)))
    return (start + stop - size * step_px) / 2, size


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


class PlaneResampler:
    """Maps frames and label maps of one clip onto the volume's grid; outside the fan everything is zero."""

    def __init__(self, fan: np.ndarray, grid: Grid) -> None:
        height, width = fan.shape
        self.fan = fan
        self.rows = area_weights(height, grid.h_start_px, grid.h_step_px, grid.h_size)
        self.columns = area_weights(width, grid.w_start_px, grid.w_step_px, grid.w_size)
        self.coverage = shrink(fan.astype(np.float32), self.rows, self.columns)
        self.inside = self.coverage >= 0.5

    def image(self, frame: np.ndarray) -> np.ndarray:
        """Grey frame (h, w) of 0..255 to uint8: mean over the fan's pixels, at least 1 inside, 0 outside.

        So the fan can be read off the volume (image > 0), and furniture beside it never bleeds in.
        """
        total = shrink(np.where(self.fan, frame, 0).astype(np.float32), self.rows, self.columns)
        grey = np.clip(np.rint(total / np.maximum(self.coverage, 1e-6)), 1, 255)
        return np.where(self.inside, grey, 0).astype(np.uint8)

    def label_map(self, masks: list[np.ndarray]) -> np.ndarray:
        """Label maps, uint8 (h, w), of one volume frame to one: the label of the largest area in each pixel.

        Equal areas go to the smaller label value, so to background first.
        """
        present = np.zeros(256, bool)
        present[0] = True
        for mask in masks:
            present[mask.ravel()] = True
        values = np.flatnonzero(present)
        shares = [
            sum(shrink((mask == value).astype(np.float32), self.rows, self.columns) for mask in masks)
            for value in values
        ]
        return values.astype(np.uint8)[np.argmax(np.stack(shares), axis=0)]


def frame_step(frames: int, max_frames: int) -> int:
    """Source frames per volume frame: the smallest whole number that keeps at most `max_frames`.

    Whole, so that the distance between volume frames is the same everywhere.
    """
    return -(-frames // max_frames)
