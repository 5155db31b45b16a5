"""Sweeps stored as image stacks or reconstructed volumes (NIfTI, NRRD, MHA), through SimpleITK."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import check_packing
from uscl_med3d.data.clips.base import ClipInfo, check_size

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")


class VolumeClip:
    """A 3D image file; see `uscl_med3d.data.clips.base.Clip`.

    Frames are the slices along the slowest axis (z), in stored order. The spacing in such a header is not
    trusted: a stack of untracked frames carries a made-up one. State it in cohort.csv where it is real.
    """

    def __init__(self, path: Path) -> None:
        import SimpleITK

        self.path = path
        reader = SimpleITK.ImageFileReader()
        reader.SetFileName(str(path))
        try:
            reader.ReadImageInformation()
        except RuntimeError as error:
            raise self._error("not readable as an image volume", "a NIfTI, NRRD or MHA file") from error
        if reader.GetDimension() != 3 or reader.GetNumberOfComponents() != 1:
            found = f"{reader.GetDimension()} axes, {reader.GetNumberOfComponents()} components"
            raise self._error(found, "3 axes (columns, rows, frames), 1 grey component")
        check_size(path, *reader.GetSize())
        check_packing(path, int(np.prod(reader.GetSize(), dtype=float)))
        self.info = ClipInfo(
            format="volume", codec=None, frames_per_second=None, pixel_spacing_mm=None, frame_spacing_mm=None
        )

    def frames(self) -> Iterator[np.ndarray]:
        """Grey frames, uint8 (h, w); other types are scaled from their range in the file to 0..255."""
        import SimpleITK

        try:
            array = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(self.path)))
        except RuntimeError as error:
            raise self._error("header readable, pixel data not", "a whole image volume") from error
        if array.dtype != np.uint8:
            array = self._to_uint8(array)
        yield from array

    def _to_uint8(self, array: np.ndarray) -> np.ndarray:
        if not np.isfinite(array).all():
            raise self._error("NaN or infinite values", "finite grey values")
        low, high = float(array.min()), float(array.max())
        scale = 255.0 / (high - low) if high > low else 0.0
        return np.rint((array.astype(np.float32) - low) * scale).astype(np.uint8)

    def _error(self, found: str, expected: str) -> InputError:
        return InputError(file=self.path, found=found, expected=expected, remedy="export the sweep again")


def open_clip(path: Path) -> VolumeClip:
    """Open a volume; its header is read at once."""
    return VolumeClip(path)
