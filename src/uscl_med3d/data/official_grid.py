"""The grid of official SAM-Med3D: files at 1.5 mm in canonical orientation, windows of them, and masks back, stage by stage.

Arrays are (x, y, z): the voxel axes of the file, or R, A, S (right, anterior, superior) after `to_canonical`.
Affines map voxels to RAS millimetres. Intensities are the file's own: nothing is clamped, windowed, or brought
to 8 bits. A mask on the file's grid does not depend on how the volume is stored (permuted, flipped).

Source: uni-medical/SAM-Med3D@f3de1fa10da9:utils/infer_utils.py with torchio 0.20.23 (behaviour only). What the
network gets from a window is in `predict.official`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import nibabel
import numpy as np
import SimpleITK

from uscl_med3d.core.errors import InputError

GridRule = Literal["centre_floor", "corner_ceil"]
Index = tuple[int, int, int]
PADDING = 0  # a raw value, put in before the normalisation
_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Volume:
    """A volume (x, y, z) and where it lies: `affine` (4, 4), voxel -> RAS millimetres."""

    array: np.ndarray
    affine: np.ndarray

    @property
    def shape(self) -> Index:
        """Voxels along x, y and z."""
        x, y, z = self.array.shape
        return x, y, z


@dataclass(frozen=True)
class Settings:
    """What official inference leaves open.

    Attributes:
        spacing_mm: of the network's voxels along all axes; 1.5 for the released weights.
        grid: how the resampled grid lies. `centre_floor`: the same centre as the file's, size rounded down (torchio
            from 0.20.11 on). `corner_ceil`: the same first corner, size rounded up (older torchio, which the
            released weights probably saw).
    """

    spacing_mm: float
    grid: GridRule


RELEASED = Settings(spacing_mm=1.5, grid="centre_floor")
"""As the pinned official script runs today."""


def read_volume(path: Path) -> Volume:
    """A NIfTI, NRRD or MHA file as (x, y, z) = its first, second and third voxel axis.

    The place in the patient is ITK's: where sform and qform of a NIfTI disagree, its rule decides. A slope or intercept
    in the header gives float32 real values; other types stay.

    Raises:
        InputError: for an unreadable or sheared file, other than three axes, several components, NaN or infinite
            values.
    """
    try:
        image = SimpleITK.ReadImage(str(path))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise _error(path, f"not readable: {reason}", "a NIfTI, NRRD or MHA volume without shear") from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        found = f"{image.GetDimension()} axes, {image.GetNumberOfComponentsPerPixel()} component(s)"
        raise _error(path, found, "one volume of three axes with one value per voxel")
    return check_finite(_widen(_from_itk(image)), path)


def check_finite(volume: Volume, path: Path) -> Volume:
    """The volume; raises `InputError` for NaN or infinite values, which would empty the mask without a word."""
    if volume.array.dtype.kind == "f" and not np.isfinite(volume.array).all():
        raise _error(path, "NaN or infinite values", "finite intensities")
    return volume


def _error(path: Path, found: str, expected: str) -> InputError:
    return InputError(file=path, found=found, expected=expected, remedy="export the volume again")


def resample(volume: Volume, settings: Settings, interpolation: Literal["linear", "nearest"]) -> Volume:
    """The volume at `spacing_mm` along its stored axes; directions and pixel type stay.

    Linear values of whole-number types are cut towards zero, as ITK does. There is no smoothing.

    Raises:
        ValueError: for an axis that is shorter than half a new voxel or so, of which nothing would be left.
    """
    image = _to_itk(volume)
    spacing, origin, directions = _grid_of(volume.affine)
    size, lengths = np.array(volume.shape), np.array(volume.shape) * spacing / settings.spacing_mm
    if settings.grid == "centre_floor":
        count = np.where(size == 1, 1, np.floor(lengths)).astype(int)
        last = np.array(image.TransformIndexToPhysicalPoint((size - 1).tolist()))
        start = (last + origin) / 2 - directions @ ((count - 1) / 2 * settings.spacing_mm)
    else:
        count = np.ceil(lengths).astype(int)
        start = origin + directions @ ((settings.spacing_mm - spacing) / 2)
    if (count < 1).any():
        raise ValueError(
            f"{' x '.join(map(str, size))} voxels of {' x '.join(f'{s:.3g}' for s in spacing)} mm are less than "
            f"one voxel of {settings.spacing_mm:g} mm"
        )
    filters = SimpleITK.ResampleImageFilter()
    filters.SetInterpolator(
        SimpleITK.sitkLinear if interpolation == "linear" else SimpleITK.sitkNearestNeighbor
    )
    filters.SetSize(count.tolist())
    filters.SetOutputOrigin(start.tolist())
    filters.SetOutputDirection(directions.ravel().tolist())
    filters.SetOutputSpacing([settings.spacing_mm] * 3)
    filters.SetOutputPixelType(image.GetPixelID())
    return _from_itk(filters.Execute(image))


def to_canonical(volume: Volume) -> Volume:
    """Axes flipped and permuted to the closest R, A, S; oblique volumes stay oblique, no value changes."""
    orientation = nibabel.io_orientation(volume.affine)
    array = nibabel.apply_orientation(volume.array, orientation)
    affine = volume.affine @ nibabel.orientations.inv_ornt_aff(orientation, volume.shape)
    return Volume(np.ascontiguousarray(array), affine)


def window_start(first: Index, last: Index, side: int) -> Index:
    """First index of the window of `side` voxels round a box (its first and last voxel); may lie outside.

    It is moved neither to stay inside the volume nor to centre a short axis; one voxel lands at `side` / 2.
    """
    x, y, z = ((low + high + 1) // 2 - side // 2 for low, high in zip(first, last, strict=True))
    return x, y, z


def window_start_of_all(shape: Index, side: int) -> Index:
    """First index of the window centred on a volume: what a label that vanished in resampling gets."""
    x, y, z = (-(-(n - side) // 2) if n > side else -(-(side - n) // 2) * -1 for n in shape)
    return x, y, z


def cut_window(volume: Volume, start: Index, side: int) -> Volume:
    """The cube of `side` voxels from `start` on; what sticks out is `PADDING`."""
    begin, size = np.array(start), np.array(volume.shape)
    before = np.maximum(0, -begin)
    low, high = np.maximum(0, begin), np.clip(begin + side, 0, size)
    array = np.full((side,) * 3, PADDING, volume.array.dtype)
    if (low < high).all():
        inner = tuple(slice(b, b + h - a) for a, b, h in zip(low, before, high, strict=True))
        array[inner] = volume.array[tuple(slice(a, h) for a, h in zip(low, high, strict=True))]
    affine = volume.affine.copy()
    # Padding first, then cropping, each with its own rounding, as torchio moves the origin.
    for shift in (-before, np.maximum(0, begin)):
        affine[:3, 3] = nibabel.affines.apply_affine(affine, shift)
    return Volume(array, affine)


def locate(voxel: Sequence[float], of: np.ndarray, canonical: Volume) -> np.ndarray:
    """A voxel (x, y, z) of the file with affine `of` as continuous index (3,) on the canonical grid."""
    return nibabel.affines.apply_affine(np.linalg.inv(canonical.affine) @ of, np.asarray(voxel, float))


def nearest_voxel(index: np.ndarray) -> Index:
    """A continuous index to whole ones, halves up."""
    x, y, z = (int(value) for value in np.floor(index + 0.5))
    return x, y, z


def to_file_grid(mask: Volume, like: Volume) -> np.ndarray:
    """A window's mask at every voxel centre of the file: nearest voxel, 0 outside the window; uint8 (x, y, z)."""
    filters = SimpleITK.ResampleImageFilter()
    filters.SetReferenceImage(_to_itk(Volume(np.zeros(like.shape, np.uint8), like.affine)))
    filters.SetInterpolator(SimpleITK.sitkNearestNeighbor)
    filters.SetOutputPixelType(SimpleITK.sitkUInt8)
    return _from_itk(filters.Execute(_to_itk(mask))).array


def _grid_of(affine: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spacing (3,), origin (3,) and directions (3, 3) in LPS, as ITK takes them."""
    lps = _FLIP @ affine
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(0))
    return spacing, lps[:3, 3], lps[:3, :3] / spacing


def _to_itk(volume: Volume) -> Any:
    spacing, origin, directions = _grid_of(volume.affine)
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(volume.array.transpose(2, 1, 0)))
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(origin.tolist())
    image.SetDirection(directions.ravel().tolist())
    return image


def _from_itk(image: Any) -> Volume:
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return Volume(SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0), _FLIP @ affine)


def _widen(volume: Volume) -> Volume:
    """Unsigned 16 and 32 bit as the next signed type, as officially."""
    wider = {"uint16": np.int32, "uint32": np.int64}.get(volume.array.dtype.name)
    return volume if wider is None else Volume(volume.array.astype(wider), volume.affine)
