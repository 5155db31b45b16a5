"""A user's file as a stack of frames that remembers its own grid, so that a mask can go back onto it.

Arrays are (frames, rows, columns). Voxel coordinates are (x, y, z) = (column, row, frame), counted from 0, in every format.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.clips import Note, open_clip
from uscl_med3d.data.clips.base import check_extent, refuse_blank
from uscl_med3d.data.clips.dicom import is_dicom
from uscl_med3d.data.clips.dicom_series import DicomSeriesClip
from uscl_med3d.data.clips.places import LPS_TO_RAS
from uscl_med3d.data.clips.volume import VolumeClip
from uscl_med3d.data.spacing import check_aspect
from uscl_med3d.data.timing import find_irregular
from uscl_med3d.data.volumes import is_made_up

World = Literal["ras", "lps"]
STILLS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
OFF_MM = 0.1  # a frame further than this from the place that even steps give it: no affine tells the truth

__all__ = ["Source", "World", "check_exists", "is_made_up", "read_source", "wrap_array"]


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
        spacing_from: one word for what says the pixel size; None where it is unknown.
        pixel_aspect: width / height of a pixel where its size is unknown.
        notes: what was assumed.
        colours: RGB uint8 (frames, rows, columns, 3) of a still that has some.
    """

    frames: np.ndarray
    pixel_spacing_mm: tuple[float, float] | None
    affine: np.ndarray | None
    world: World
    header: Any
    kind: str
    spacing_from: str | None = None
    pixel_aspect: float = 1.0
    notes: tuple[Note, ...] = ()
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
            point = LPS_TO_RAS @ point
        x, y, z, _ = np.linalg.solve(self.affine, point)
        return float(x), float(y), float(z)


def check_exists(path: Path) -> None:
    """Raises `InputError` for a path without file or folder: before any model is loaded."""
    if not path.exists():
        raise InputError(
            file=path,
            found="no such file or folder",
            expected="a video, picture, DICOM file or folder, NIfTI, NRRD or MHA",
            remedy="correct the path",
        )


def read_source(path: str | Path, spacing_mm: tuple[float, float] | None = None) -> Source:
    """Read a video, picture, DICOM file, folder of single-frame DICOM, NIfTI, NRRD or MHA file.

    Args:
        path: file or folder.
        spacing_mm: (row, column) pixel size that replaces what the file says.

    Raises:
        InputError: for anything that cannot be read, for a series with frames missing between others, and for a
            `spacing_mm` of square pixels where the file says that they are not.
    """
    path = Path(path)
    check_exists(path)
    if path.is_file() and path.suffix.lower() in STILLS and not is_dicom(path):
        source = _read_still(path)
        check_extent(path, spacing_mm, source.frames.shape[1:])
        return (
            source
            if spacing_mm is None
            else replace(source, pixel_spacing_mm=spacing_mm, spacing_from="given")
        )
    clip = open_clip(path)
    frames = np.stack(list(clip.frames()))
    info, notes = clip.info, list(clip.notes)
    kind, world, header = info.format, "lps", None
    spacing, origin = info.pixel_spacing_mm, info.spacing_from
    if isinstance(clip, VolumeClip):
        kind = clip.header.format
        notes += clip.header.spacing_notes
        header = None if clip.header.nifti is None else clip.header.nifti.header
        if clip.header.spacing_mm is not None:
            spacing, origin = (clip.header.spacing_mm[1], clip.header.spacing_mm[0]), "header"
    elif isinstance(clip, DicomSeriesClip):
        _refuse_gaps(clip)
    if spacing_mm is not None:
        check_aspect(path, spacing_mm, info.pixel_aspect)
        spacing, origin = spacing_mm, "given"
    check_extent(path, spacing, frames.shape[1:])
    irregular = find_irregular([], clip.times_s) or {}
    for word in ("damaged_frames", "dropped_frames"):
        if word in irregular:
            notes.append(Note(f"{irregular[word]} {word.replace('_', ' ')}"))
    return Source(
        frames,
        spacing,
        clip.affine,
        "ras" if kind == "nifti" else world,  # type: ignore[arg-type]
        header,
        kind,
        origin,
        info.pixel_aspect,
        tuple(notes),
    )


def _read_still(path: Path) -> Source:
    """A picture as one frame, turned as its EXIF says; 16-bit grey is brought to 8 bits by its range."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            pages = getattr(opened, "n_frames", 1)
            image = ImageOps.exif_transpose(opened)
            notes = (
                () if image.size == opened.size else (Note("the picture is turned as its EXIF says", False),)
            )
            wide = image.mode.startswith(("I", "F"))
            grey = np.asarray(image) if wide else np.asarray(image.convert("L"))
            if wide and _is_white_zero(opened):  # Pillow inverts those of 8 bits alone
                grey = grey.max() - grey
            colours = (
                np.asarray(image.convert("RGB"))
                if image.mode in ("RGB", "RGBA", "P", "CMYK", "YCbCr")
                else None
            )
    except Exception as error:  # Pillow's decoders raise many kinds
        raise InputError(
            file=path,
            found=f"not readable as a picture ({type(error).__name__})",
            expected="a PNG, JPEG, BMP or TIFF file",
            remedy="export the picture again",
        ) from error
    if pages > 1:
        raise InputError(
            file=path,
            found=f"{pages} pictures in one file",
            expected="one picture",
            remedy="export each picture, or a video, as a file of its own",
        )
    if wide and not np.isfinite(grey).all():
        raise InputError(
            file=path,
            found="NaN or infinite values",
            expected="a finite grey value in every pixel",
            remedy="export the picture again, with 8 or 16 bits",
        )
    if colours is not None and (colours == colours[..., :1]).all():
        colours = None
    frame = grey if grey.dtype == np.uint8 else _scale(grey)
    frames = np.stack(list(refuse_blank(path, [frame])))
    return Source(
        frames,
        None,
        None,
        "lps",
        None,
        "still",
        notes=notes,
        colours=None if colours is None else colours[None],
    )


def _is_white_zero(image: Any) -> bool:
    """Whether the smallest value of a TIFF is white (PhotometricInterpretation 0)."""
    return image.format == "TIFF" and image.tag_v2.get(262) == 0


def _refuse_gaps(clip: DicomSeriesClip) -> None:
    """Clicks in millimetres and the mask's header use one step for all frames: refused where that is not true."""
    if clip.affine is None or clip.off_by_mm <= OFF_MM:
        return
    missing = sum(count for _, count in clip.times_s.gaps)
    what = f"; {missing} missing, first after frame {clip.times_s.gaps[0][0]}" if missing else ""
    raise InputError(
        file=clip.path,
        found=f"{len(clip.files)} frames at uneven distances, up to {clip.off_by_mm:.2f} mm from even steps{what}",
        expected=f"frames at even distances (within {OFF_MM:g} mm), so that voxels have true places",
        remedy="put the missing files there, or convert the series to a video or to a volume with even steps; "
        "`uscl-med3d inspect` shows what is read",
    )


def wrap_array(array: np.ndarray, spacing_mm: tuple[float, float] | None) -> Source:
    """A (frames, rows, columns) array as an input. Raises `ValueError` for other shapes, NaN or infinite values."""
    array = np.asarray(array)
    if array.ndim != 3 or not array.size:
        raise ValueError(f"a volume has 3 axes (frames, rows, columns), got shape {array.shape}")
    if array.dtype != np.uint8:
        if not np.isfinite(array).all():
            raise ValueError("the volume has NaN or infinite values")
        array = _scale(array)
    return Source(array, spacing_mm, None, "ras", None, "array", None if spacing_mm is None else "given")


def _scale(array: np.ndarray) -> np.ndarray:
    """Any finite values to 0..255 by their range, as the clips of `ingest`."""
    low, high = float(array.min()), float(array.max())
    scale = 255.0 / (high - low) if high > low else 0.0
    return np.rint((array.astype(np.float32) - low) * scale).astype(np.uint8)
