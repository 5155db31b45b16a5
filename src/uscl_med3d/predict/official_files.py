"""Volumes as official inference reads them: ITK's geometry, the file's own values."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.predict.official import Volume, from_itk


def read_volume(path: Path) -> Volume:
    """A NIfTI, NRRD or MHA file as (x, y, z) = its first, second and third voxel axis.

    The place in the patient is ITK's: where sform and qform of a NIfTI disagree, its rule decides. A slope or intercept
    in the header gives float32 real values; other types stay.

    Raises:
        InputError: for an unreadable or sheared file, other than three axes, several components, NaN or infinite
            values.
    """
    import SimpleITK

    try:
        image = SimpleITK.ReadImage(str(path))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise _error(path, f"not readable: {reason}", "a NIfTI, NRRD or MHA volume without shear") from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        found = f"{image.GetDimension()} axes, {image.GetNumberOfComponentsPerPixel()} component(s)"
        raise _error(path, found, "one volume of three axes with one value per voxel")
    return check_finite(from_itk(image), path)


def check_finite(volume: Volume, path: Path) -> Volume:
    """The volume; raises `InputError` for NaN or infinite values, which would empty the mask without a word."""
    if volume.array.dtype.kind == "f" and not np.isfinite(volume.array).all():
        raise _error(path, "NaN or infinite values", "finite intensities")
    return volume


def _error(path: Path, found: str, expected: str) -> InputError:
    return InputError(file=path, found=found, expected=expected, remedy="export the volume again")
