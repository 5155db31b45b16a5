"""Masks on the grid of the input they belong to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import atomic, write_json
from uscl_med3d.user.inputs import Source
from uscl_med3d.user.models import Choice
from uscl_med3d.user.official import OfficialChoice

SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha", ".npy")
DEFAULT_SUFFIX = ".nii.gz"
_NOT_ONE = (".nii.gz", ".igs.mha", ".igs.nrrd")
_FREE_TEXT = ("descrip", "aux_file", "db_name", "data_type", "intent_name")
_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


def stem_of(path: Path) -> str:
    """A file's name without its suffix, or its double one; "input" where nothing is left."""
    for suffix in _NOT_ONE:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.stem or "input"


def name_mask(path: Path) -> Path:
    """Where the mask of an input goes if nobody says where: NAME_mask.nii.gz in the current folder."""
    return Path(f"{stem_of(path)}_mask{DEFAULT_SUFFIX}")


def check_suffix(path: Path) -> None:
    """Raises `InputError` for a file that no writer is known for: before any work, not after it."""
    if not path.name.lower().endswith(SUFFIXES):
        raise InputError(
            file=path,
            found=f"suffix {path.suffix!r}",
            expected=f"one of {', '.join(SUFFIXES)}",
            remedy="give the mask another name",
        )


def save_mask(path: Path, mask: np.ndarray, source: Source) -> None:
    """Write a label map uint8 (frames, rows, columns) with the affine of its input.

    NIfTI, NRRD and MHA axes are (x, y, z) = (column, row, frame); .npy keeps (frames, rows, columns). An input without
    patient coordinates gets its pixel size (1 mm where unknown), 1 mm between frames, and no orientation. Free text of an
    input's NIfTI header is not copied: it may name the patient.
    """
    check_suffix(path)
    with atomic(path) as temporary:
        if path.suffix == ".npy":
            np.save(temporary, mask)
        elif path.name.lower().endswith((".nii", ".nii.gz")):
            _save_nifti(temporary, mask, source)
        else:
            _save_itk(temporary, mask, source)


def describe(
    path: Path, mask: np.ndarray, objects: dict[str, int], source: Source, choice: Choice | OfficialChoice
) -> dict[str, Any]:
    """Write what a mask shows into a JSON beside it, and return it."""
    content = {
        "labels": objects,
        "voxels": {name: int((mask == value).sum()) for name, value in objects.items()},
        "axes": "(frames, rows, columns)" if path.suffix == ".npy" else "(x, y, z) = (column, row, frame)",
        "shape": list(mask.shape if path.suffix == ".npy" else mask.shape[::-1]),
        "input_kind": source.kind,
        "patient_coordinates": source.affine is not None,
        "pixel_spacing_mm": None if source.pixel_spacing_mm is None else list(source.pixel_spacing_mm),
        "model": choice.name,
        "preprocessing": choice.preprocessing,
        "model_scale": choice.scale,
        "model_validation_dice": choice.validation_dice,
        "use": "research only; not a medical device",
    }
    name = path.name[: -len(next(suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)))]
    write_json(path.with_name(f"{name}.json"), content)
    return content


def place(source: Source) -> np.ndarray:
    """Affine (4, 4) of a mask, voxel (x, y, z) -> RAS millimetres."""
    if source.affine is not None:
        return source.affine
    row, column = source.pixel_spacing_mm or (1.0, 1.0)
    return np.diag([column, row, 1.0, 1.0])


def _save_nifti(path: Path, mask: np.ndarray, source: Source) -> None:
    import nibabel

    data = np.ascontiguousarray(mask.transpose(2, 1, 0))
    header = None if source.header is None else source.header.copy()
    codes = (0, 0) if source.affine is None else (1, 1)
    if header is not None:
        codes = int(header["qform_code"]), int(header["sform_code"])
        for name in _FREE_TEXT:
            if name in header:
                header[name] = b""
        header.extensions.clear()
        header["cal_min"], header["cal_max"] = 0, 0
        header.set_data_dtype(np.uint8)
        header.set_slope_inter(1, 0)
    affine = place(source)
    image = nibabel.Nifti1Image(data, affine, header)
    image.header.set_xyzt_units("mm", image.header.get_xyzt_units()[1])
    if header is None:
        if source.affine is None:
            image.set_qform(affine, code=0)
            image.set_sform(affine, code=0)
    elif source.affine is None or not np.allclose(affine, header.get_best_affine()):
        # Lengths were brought to millimetres, or the header gives no place: its codes are kept as they are.
        image.set_qform(affine, code=codes[0])
        image.set_sform(affine, code=codes[1])
    nibabel.save(image, path)


def _save_itk(path: Path, mask: np.ndarray, source: Source) -> None:
    import SimpleITK

    affine = _FLIP @ place(source) if source.affine is not None else place(source)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image = SimpleITK.GetImageFromArray(mask)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    SimpleITK.WriteImage(image, str(path), useCompression=True)
