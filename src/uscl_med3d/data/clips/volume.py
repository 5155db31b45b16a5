"""Sweeps stored as image stacks or reconstructed volumes: NIfTI through nibabel, NRRD and MHA through SimpleITK."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import check_packing, list_data_files
from uscl_med3d.data.clips.base import ClipInfo, check_size

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
NIFTI = (".nii", ".nii.gz")
EXPECTED = "3 axes (columns, rows, frames), 1 grey component"
WITHIN = ("LOCAL",)  # MHA: the pixels follow


class VolumeClip:
    """A 3D image file; see `uscl_med3d.data.clips.base.Clip`.

    Frames are the slices along the slowest axis (z), in stored order. The spacing in such a header is not
    trusted: a stack of untracked frames carries a made-up one. State it in cohort.csv where it is real.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._nifti = self._open_nifti() if path.name.lower().endswith(NIFTI) else None
        size = self._nifti.shape if self._nifti is not None else self._read_size()
        check_size(path, *size)
        check_packing(path, int(np.prod(size, dtype=float)))
        self.info = ClipInfo(
            format="volume", codec=None, frames_per_second=None, pixel_spacing_mm=None, frame_spacing_mm=None
        )

    def frames(self) -> Iterator[np.ndarray]:
        """Grey frames, uint8 (h, w); other types are scaled from their range in the file to 0..255."""
        import SimpleITK

        try:
            if self._nifti is not None:
                # ITK fills a file that is cut with zeros, and puts zeros for NaN, without a word.
                array = np.asanyarray(self._nifti.dataobj).transpose(2, 1, 0)
            else:
                array = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(self.path)))
        except Exception as error:  # each damage has an exception of its own in nibabel, gzip and zlib
            raise self._error("header readable, pixel data not", "a whole image volume") from error
        if array.dtype != np.uint8:
            array = self._to_uint8(array)
        yield from (np.ascontiguousarray(frame) for frame in array)

    def _open_nifti(self) -> Any:
        import nibabel

        try:
            image: Any = nibabel.load(self.path)
            shape, kind, affine = image.shape, image.get_data_dtype(), np.asarray(image.affine, float)
        except Exception as error:
            raise self._error("not readable as an image volume", "a NIfTI file") from error
        if len(shape) != 3:
            raise self._error(f"{len(shape)} axes, {' x '.join(map(str, shape))}", EXPECTED)
        if kind.kind not in "iufb":
            raise self._error(f"values of several components ({kind})", EXPECTED)
        if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
            raise self._error("a singular affine", "three independent axes with a spacing above zero")
        return image

    def _read_size(self) -> tuple[int, ...]:
        self._check_data_file()
        reader = read_header(self.path)
        if reader.GetDimension() != 3 or reader.GetNumberOfComponents() != 1:
            found = f"{reader.GetDimension()} axes, {reader.GetNumberOfComponents()} components"
            raise self._error(found, EXPECTED)
        return tuple(reader.GetSize())

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
        scale = 255.0 / (high - low) if high > low else 0.0
        return np.rint((grey - low) * scale).astype(np.uint8)

    def _error(self, found: str, expected: str) -> InputError:
        return _error(self.path, found, expected)


def open_clip(path: Path) -> VolumeClip:
    """Open a volume; its header is read at once."""
    return VolumeClip(path)


def read_header(path: Path) -> Any:
    """SimpleITK's reader of an NRRD or MHA file that has read the header. Raises `InputError`."""
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _error(path, "not readable as an image volume", "an NRRD or MHA file") from error
    return reader


def _error(path: Path, found: str, expected: str) -> InputError:
    return InputError(file=path, found=found, expected=expected, remedy="export the sweep again")
