"""A user's file as a stack of frames that remembers its own grid, so that a mask can go back onto it.

Arrays are (frames, rows, columns). Voxel coordinates are (x, y, z) = (column, row, frame), counted from 0, in every format.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.clips import choose_format, open_clip, volume
from uscl_med3d.data.clips.dicom_series import DicomSeriesClip

World = Literal["ras", "lps"]
STILLS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Source:
    """Frames and their place in the patient.

    Attributes:
        frames: grey values uint8 (frames, rows, columns).
        pixel_spacing_mm: (row, column) distance, or None where unknown.
        affine: (4, 4), voxel (x, y, z) -> millimetres in RAS, or None for files without patient coordinates.
        world: convention of the file's own header.
        header: for NIfTI the nibabel header; None otherwise.
        kind: video, dicom, dicom folder, nifti, nrrd, mha, still or array.
        colours: RGB uint8 (frames, rows, columns, 3) of a still that has some.
    """

    frames: np.ndarray
    pixel_spacing_mm: tuple[float, float] | None
    affine: np.ndarray | None
    world: World
    header: Any
    kind: str
    colours: np.ndarray | None = None

    def to_voxel(
        self, millimetres: tuple[float, float, float], world: World | None
    ) -> tuple[float, float, float]:
        """Patient coordinates to voxel coordinates (x, y, z), not rounded. Raises `ValueError` where there are none."""
        if self.affine is None:
            raise ValueError(
                f"a {self.kind} has no patient coordinates in millimetres: give voxels (column, row, frame)"
            )
        point = np.array([*millimetres, 1.0])
        if (world or self.world) == "lps":
            point = _FLIP @ point
        x, y, z, _ = np.linalg.solve(self.affine, point)
        return float(x), float(y), float(z)


def check_exists(path: Path) -> None:
    """Raises `InputError` for a path without file or folder: before any model is loaded."""
    if not path.exists():
        raise InputError(
            file=path, found="no such file or folder",
            expected="a video, picture, DICOM file or folder, NIfTI, NRRD or MHA",
            remedy="correct the path",
        )  # fmt: skip


def read_source(path: str | Path, spacing_mm: tuple[float, float] | None = None) -> Source:
    """Read a video, picture, DICOM file, folder of single-frame DICOM, NIfTI, NRRD or MHA file.

    Args:
        path: file or folder.
        spacing_mm: (row, column) pixel size that replaces what the file says.

    Raises:
        InputError: for anything that cannot be read.
    """
    path = Path(path)
    check_exists(path)
    if path.is_dir():
        source = _read_series(path)
    elif path.suffix.lower() in STILLS:
        source = _read_still(path)
    elif choose_format(path) is volume:
        source = _read_volume(path)
    else:
        clip = open_clip(path)
        frames = np.stack(list(clip.frames()))
        source = Source(frames, clip.info.pixel_spacing_mm, None, "lps", None, clip.info.format)
    if spacing_mm is not None:
        source = replace(source, pixel_spacing_mm=spacing_mm)
    return source


def wrap_array(array: np.ndarray, spacing_mm: tuple[float, float] | None) -> Source:
    """A (frames, rows, columns) array as an input. Raises `ValueError` for other shapes, NaN or infinite values."""
    array = np.asarray(array)
    if array.ndim != 3 or not array.size:
        raise ValueError(f"a volume has 3 axes (frames, rows, columns), got shape {array.shape}")
    if array.dtype != np.uint8:
        if not np.isfinite(array).all():
            raise ValueError("the volume has NaN or infinite values")
        array = _scale(array)
    return Source(array, spacing_mm, None, "ras", None, "array")


def _scale(array: np.ndarray) -> np.ndarray:
    """Any finite values to 0..255 by their range, as the clips of `ingest`."""
    low, high = float(array.min()), float(array.max())
    scale = 255.0 / (high - low) if high > low else 0.0
    return np.rint((array.astype(np.float32) - low) * scale).astype(np.uint8)


def _read_still(path: Path) -> Source:
    """A picture as one frame; 16-bit grey is brought to 8 bits by its range."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.load()
            grey = np.asarray(image) if image.mode in ("I;16", "I", "F") else np.asarray(image.convert("L"))
            colours = (
                np.asarray(image.convert("RGB"))
                if image.mode in ("RGB", "RGBA", "P", "CMYK", "YCbCr")
                else None
            )
    except Exception as error:  # Pillow's decoders raise many kinds
        raise InputError(file=path, found=f"not readable as a picture ({type(error).__name__})",
                         expected="a PNG, JPEG, BMP or TIFF file", remedy="export the picture again") from error  # fmt: skip
    if colours is not None and (colours == colours[..., :1]).all():
        colours = None
    frame = grey if grey.dtype == np.uint8 else _scale(grey)
    return Source(frame[None], None, None, "lps", None, "still", None if colours is None else colours[None])


def _read_volume(path: Path) -> Source:
    clip = open_clip(path)
    frames = np.stack(list(clip.frames()))
    header: Any = None
    world: World = "lps"
    if path.name.lower().endswith((".nii", ".nii.gz")):
        import nibabel

        image: Any = nibabel.load(path)
        affine, header, kind = np.asarray(image.affine, np.float64), image.header, "nifti"
        world = "ras"
    else:
        affine = _affine_of(path)
        kind = "nrrd" if path.suffix.lower() in (".nrrd", ".nhdr") else "mha"
    if abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise InputError(file=path, found="a singular affine", expected="three independent axes with a spacing above zero",
                         remedy="export the volume again")  # fmt: skip
    columns = np.linalg.norm(affine[:3, :3], axis=0)
    spacing = None if is_made_up(affine) else (float(columns[1]), float(columns[0]))
    return Source(frames, spacing, affine, world, header, kind)


def is_made_up(affine: np.ndarray) -> bool:
    """Whether a header says nothing: 1 mm along all axes, which follow the patient's, from the origin.

    That is what programs write for a stack of frames whose pixel size they do not know. One millimetre beside another
    spacing, a turn or an origin elsewhere is believed.
    """
    return bool(np.allclose(np.abs(affine), np.eye(4), atol=1e-6))


def _affine_of(path: Path) -> np.ndarray:
    reader = volume.read_header(path)
    directions = np.array(reader.GetDirection()).reshape(3, 3)
    affine = np.eye(4)
    affine[:3, :3] = directions * np.array(reader.GetSpacing())
    affine[:3, 3] = reader.GetOrigin()
    return _FLIP @ affine


def _read_series(folder: Path) -> Source:
    """One series of single DICOM frames."""
    clip = DicomSeriesClip(folder)
    affine = None if clip.affine is None else _FLIP @ clip.affine
    return Source(
        np.stack(list(clip.frames())), clip.info.pixel_spacing_mm, affine, "lps", None, clip.info.format
    )
