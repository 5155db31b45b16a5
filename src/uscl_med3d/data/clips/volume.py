"""Sweeps stored as image stacks or reconstructed volumes: NIfTI through nibabel, NRRD and MHA through SimpleITK."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import check_packing, list_data_files
from uscl_med3d.data.clips.base import ClipInfo, Note, check_size, refuse_blank
from uscl_med3d.data.timing import FrameTimes
from uscl_med3d.data.volumes import NIFTI, Header, read_header

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
EXPECTED = "3 axes (columns, rows, frames), 1 grey component"
WITHIN = ("LOCAL",)  # MHA: the pixels follow


class VolumeClip:
    """A 3D image file; see `uscl_med3d.data.clips.base.Clip`.

    Frames are the slices along the slowest axis (z), in stored order. The spacing in such a header is not
    trusted by `ingest`: a stack of untracked frames carries a made-up one. State it in cohort.csv where it is real.

    Attributes:
        header: what the file says of its grid; `header.spacing_mm` is what `segment` believes.
    """

    times_s: FrameTimes | None = None

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.name.lower().endswith(NIFTI):
            self._check_data_file()
        self.header: Header = read_header(path)
        shape = self.header.shape
        if len(shape) != 3 or self.header.components != 1:
            sizes = " x ".join(map(str, self.header.stored_shape))
            found = (
                f"{len(shape)} axes, {sizes}, {self.header.components} components of type {self.header.kind}"
            )
            raise self._error(found, EXPECTED)
        check_size(path, *shape)
        check_packing(path, int(np.prod(shape, dtype=float)))
        self._range: list[Note] = []  # known when the frames have been read
        self.info = ClipInfo(
            format="volume", codec=None, frames_per_second=None, pixel_spacing_mm=None, frame_spacing_mm=None
        )

    @property
    def affine(self) -> np.ndarray | None:
        """(4, 4) voxel -> RAS millimetres, where the header states it."""
        return self.header.affine

    @property
    def notes(self) -> list[Note]:
        """What was assumed; not what the header means for a pixel size, which depends on who asks."""
        return [*self.header.notes, *self._range]

    def frames(self) -> Iterator[np.ndarray]:
        """Grey frames, uint8 (h, w); other types are scaled from their range in the file to 0..255."""
        array = self.header.read()
        if array.dtype != np.uint8:
            array = self._to_uint8(array)
        yield from refuse_blank(self.path, (np.ascontiguousarray(frame) for frame in array))

    def _check_data_file(self) -> None:
        """The pixels may lie in a file of their own, but in the folder of the header only."""
        for name in list_data_files(self.path):
            parts = name.replace("\\", "/").split("/")
            if name not in WITHIN and (".." in parts or parts[0] == "" or ":" in parts[0]):
                raise self._error(
                    f"a header that names {name!r:.100}", "pixels in the file itself or beside it"
                )

    def _to_uint8(self, array: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            grey = array.astype(np.float32)
        if not np.isfinite(grey).all():
            raise self._error("NaN, infinite or overflowing values", "finite grey values")
        low, high = float(array.min()), float(array.max())
        self._range = [Note(f"values of type {self.header.kind}: {low:g} to {high:g} become 0 to 255", False)]
        scale = 255.0 / (high - low) if high > low else 0.0
        return np.rint((grey - low) * scale).astype(np.uint8)

    def _error(self, found: str, expected: str) -> InputError:
        return InputError(
            file=self.path,
            found=found,
            expected=expected,
            remedy="export the sweep again; `uscl-med3d inspect` shows what is read",
        )


def open_clip(path: Path) -> VolumeClip:
    """Open a volume; its header is read at once."""
    return VolumeClip(path)
