"""An input as the page shows it: grey values 0..255 in a NIfTI of our own, whose axes every drawing program reads alike.

Axes are (column, row turned over, frame) with a diagonal positive affine, so that indices of the file are those of the
RAS-turned image that NiiVue works with, and row 0 is on top.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uscl_med3d.user.inputs import Source
from uscl_med3d.user.upsample import Box

MOST_VOXELS = 64_000_000
"""A graphics card holds four bytes for each."""
MOST_SIDE = 2048
"""Of a three-dimensional texture, on the least capable cards in use."""


@dataclass(frozen=True)
class Picture:
    """What is shown.

    Attributes:
        grey: uint8 (frames, rows, columns), every `step`-th row and column of the input.
        spacing_mm: (frame, row, column) of `grey`, for drawing only.
    """

    grey: np.ndarray
    step: int
    spacing_mm: tuple[float, float, float]

    def to_bytes(self) -> bytes:
        """The NIfTI."""
        import nibabel

        turned = np.ascontiguousarray(self.grey[:, ::-1].transpose(2, 1, 0))
        frame, row, column = self.spacing_mm
        image = nibabel.Nifti1Image(turned, np.diag([column, row, frame, 1.0]))
        image.header.set_xyzt_units("mm")
        return image.to_bytes()

    def cut(self, box: Box, labels: np.ndarray) -> tuple[Box, np.ndarray]:
        """A part of a label map of the input, and the rows and columns of it that are shown."""
        frames, *others = box
        ends, starts = [], []
        for first, end in others:
            low, high = -(-first // self.step), -(-end // self.step)
            ends.append((low, high))
            starts.append(low * self.step - first)
        shown = labels[:, starts[0] :: self.step, starts[1] :: self.step]
        return (frames, ends[0], ends[1]), np.ascontiguousarray(shown)


def make_picture(source: Source) -> Picture:
    """The picture of an input; of a large one fewer rows and columns."""
    frames, rows, columns = source.frames.shape
    step = 1
    while (
        frames * -(-rows // step) * -(-columns // step) > MOST_VOXELS or max(rows, columns) > step * MOST_SIDE
    ):
        step += 1
    grey = to_grey(source.frames[:, ::step, ::step])
    row_mm, column_mm = source.pixel_spacing_mm or (1.0, 1.0)
    # Where the distance of frames is unknown, the stack is drawn as deep as the image is wide.
    unknown_mm = column_mm * columns / frames
    frame_mm = unknown_mm if source.affine is None else float(np.linalg.norm(source.affine[:3, 2]))
    return Picture(grey, step, (frame_mm, row_mm * step, column_mm * step))


def to_grey(frames: np.ndarray) -> np.ndarray:
    """Any values as uint8; what is no byte already is scaled between its 0.5 and 99.5 percentiles."""
    if frames.dtype == np.uint8:
        return np.ascontiguousarray(frames)
    values = frames.astype(np.float32)
    low, high = np.percentile(values[:: max(1, len(values) // 20)], (0.5, 99.5))
    return np.rint(np.clip((values - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8)
