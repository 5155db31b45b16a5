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
from uscl_med3d.user.upsample import Axes, Axis, Box, find_box, join, label, slices

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
        self.grid: Grid = plan_grid(
            self.fan, len(frames), {"d": None, "h": h, "w": w}, source.pixel_aspect, settings
        )
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
        box = join([find_box(values, self.axes) for values in logits])
        if box is not None:
            result[slices(box)] = self.label(logits, box)
        return result

    def label(self, logits: list[np.ndarray], box: Box) -> np.ndarray:
        """The part `box` of what `to_input` gives, bit for bit, in the time that this part needs."""
        return label(logits, self.axes, box, self.fan)

    def from_input(self, mask: np.ndarray, background: float, inside: float) -> np.ndarray:
        """A mask bool (frames, rows, columns) as float32 (d, h, w): `inside` where a voxel's middle lies in it."""
        frames, rows, columns = (
            np.clip(np.floor(start + (np.arange(size) + 0.5) * step).astype(int), 0, length - 1)
            for start, step, size, length in zip(
                (0.0, self.grid.h_start_px, self.grid.w_start_px),
                (self.grid.frame_step, self.grid.h_step_px, self.grid.w_step_px),
                self.array.shape,
                self.shape,
                strict=True,
            )
        )
        picked = mask[np.ix_(frames, rows, columns)]
        return np.where(picked, inside, background).astype(np.float32)

    def box_of(self, origin: Voxel, size: int) -> Box:
        """The part of the input that the crop of `size` voxels a side at `origin` shows: middles of voxels inside it."""
        ends = []
        for axis, start in zip(self.axes, origin, strict=True):
            first, end = axis.reach(max(start, 0), min(start + size, axis.size) - 1)
            inside = np.flatnonzero(
                (axis.at[first:end] >= start - 0.5) & (axis.at[first:end] <= start + size - 0.5)
            )
            ends.append((first + int(inside[0]), first + int(inside[-1]) + 1))
        return ends[0], ends[1], ends[2]

    @cached_property
    def axes(self) -> Axes:
        """How the input's grid lies on the working one."""
        grid, (frames, rows, columns) = self.grid, self.shape
        return (
            Axis.between(frames, 0.0, grid.frame_step, grid.frame_size),
            Axis.between(rows, grid.h_start_px, grid.h_step_px, grid.h_size),
            Axis.between(columns, grid.w_start_px, grid.w_step_px, grid.w_size),
        )
