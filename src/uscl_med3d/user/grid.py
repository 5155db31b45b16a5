"""A user's input on the pipeline's grid, and predictions back on the input's own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from uscl_med3d.core.params.ingest import Ingest
from uscl_med3d.data.convert import plan_grid, read_image
from uscl_med3d.data.fan import find_fan
from uscl_med3d.data.resample import Grid, PlaneResampler, frame_weights
from uscl_med3d.user.inputs import Source

Voxel = tuple[int, int, int]


@dataclass(frozen=True)
class Frames:
    """A clip in memory, as `data.convert.read_image` takes it."""

    array: np.ndarray

    def frames(self) -> np.ndarray:
        """Frames in order."""
        return self.array


class WorkingVolume:
    """An input on the grid that the models were trained on.

    Args:
        source: the input.
        settings: of the stage `ingest` of the model's run.
        whole_frame: take the whole frame as image region instead of looking for the fan.

    Attributes:
        fan: image region, bool (rows, columns).
        array: uint8 (d, h, w), 1..255 inside the region, 0 outside.
    """

    def __init__(self, source: Source, settings: Ingest, whole_frame: bool) -> None:
        frames = source.frames
        if whole_frame:
            self.fan = np.ones(frames.shape[1:], bool)
        else:
            limits = settings.fan.model_dump(exclude={"max_labels_outside"})
            self.fan = find_fan(frames.max(0), frames.min(0), **limits)
        h, w = source.pixel_spacing_mm or (None, None)
        self.shape: Voxel = frames.shape
        self.grid: Grid = plan_grid(self.fan, len(frames), {"d": None, "h": h, "w": w}, settings)
        resampler = PlaneResampler(self.fan, self.grid)
        self.array = read_image(
            Frames(frames), resampler, frame_weights(len(frames), self.grid, settings.frame_reduction)
        )

    def index_of(self, voxel: tuple[float, float, float], in_region: bool) -> Voxel:
        """Input voxel (x, y, z) = (column, row, frame) to index (d, h, w).

        Args:
            voxel: not rounded.
            in_region: refuse what lies outside the image region; else the nearest voxel of the grid is taken.

        Raises:
            ValueError: outside the input or its image region; the message says where the region lies.
        """
        x, y, z = voxel
        frames, rows, columns = self.shape
        for name, value, size in (("x (column)", x, columns), ("y (row)", y, rows), ("z (frame)", z, frames)):
            if not -0.5 <= value <= size - 0.5:
                raise ValueError(f"{name} = {value:g} lies outside the input, which has 0 to {size - 1}")
        grid = self.grid
        index = (
            int((z + 0.5) / grid.frame_step),
            int(np.floor((y + 0.5 - grid.h_start_px) / grid.h_step_px)),
            int(np.floor((x + 0.5 - grid.w_start_px) / grid.w_step_px)),
        )
        if in_region and not self.fan[min(round(y), rows - 1), min(round(x), columns - 1)]:
            ys, xs = np.flatnonzero(self.fan.any(1)), np.flatnonzero(self.fan.any(0))
            raise ValueError(
                f"column {x:g}, row {y:g} lies outside the image region that was found (a convex region within columns "
                f"{xs[0]} to {xs[-1]}, rows {ys[0]} to {ys[-1]}); the whole frame can be used instead (--whole-frame)"
            )
        inside = (min(max(at, 0), size - 1) for at, size in zip(index, self.array.shape, strict=True))
        d, h, w = inside
        return d, h, w

    def to_input(self, logits: list[np.ndarray]) -> np.ndarray:
        """Logits (d, h, w) per object to a map uint8 (frames, rows, columns): 0 background, else 1 + object.

        Logits are interpolated linearly; where several objects are above zero, the largest logit wins.
        """
        result = np.zeros(self.shape, np.uint8)
        along_d = self._weights["d"]
        for frame in range(self.shape[0]):
            planes = [np.einsum("d,dhw->hw", along_d[frame], values) for values in logits]
            # Most frames of most objects are empty on the coarse grid, where nothing needs the fine one.
            if not any((plane > 0).any() for plane in planes):
                continue
            fine = np.stack([self._weights["h"] @ plane @ self._weights["w"].T for plane in planes])
            best = fine.argmax(0)
            result[frame] = np.where((fine.max(0) > 0) & self.fan, best + 1, 0)
        return result

    @cached_property
    def _weights(self) -> dict[str, np.ndarray]:
        grid, (frames, rows, columns) = self.grid, self.shape
        return {
            "d": _interpolate(frames, 0.0, grid.frame_step, grid.frame_size),
            "h": _interpolate(rows, grid.h_start_px, grid.h_step_px, grid.h_size),
            "w": _interpolate(columns, grid.w_start_px, grid.w_step_px, grid.w_size),
        }


def _interpolate(count: int, start: float, step: float, size: int) -> np.ndarray:
    """Linear weights (count, size) of coarse cell middles for the middles of fine cells; held constant at the ends."""
    at = np.clip((np.arange(count) + 0.5 - start) / step - 0.5, 0, size - 1)
    low = np.minimum(at.astype(int), max(size - 2, 0))
    weights = np.zeros((count, size), np.float32)
    weights[np.arange(count), low] = 1 - (at - low)
    weights[np.arange(count), np.minimum(low + 1, size - 1)] += at - low
    return weights
