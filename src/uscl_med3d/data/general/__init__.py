"""General-domain sets (CT and MR) as their publishers lay them out.

One module per layout (see `base.Layout`); which one a folder has is found from its content. A new layout is one
file here and one line in `LAYOUTS`.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import sha256
from uscl_med3d.data.general import amos, brats, nnunet, totalsegmentator
from uscl_med3d.data.general.base import AS_STORED, PARTS, Case, Layout, Reading
from uscl_med3d.data.general.volumes import read_image, read_label, resample
from uscl_med3d.data.official_grid import RELEASED, Volume, read_volume, to_canonical
from uscl_med3d.data.official_grid import resample as resample_official

# The first that matches is taken; nnU-Net's parts are shared by AMOS, so it comes last.
LAYOUTS: dict[str, Layout] = {
    "amos": amos,
    "totalsegmentator": totalsegmentator,
    "brats": brats,
    "nnunet": nnunet,
}

__all__ = [
    "AS_STORED",
    "LAYOUTS",
    "Case",
    "Reading",
    "choose_layout",
    "find_problems",
    "hash_case",
    "list_cases",
    "load_case",
    "read_names",
]


def choose_layout(folder: str | Path) -> str:
    """Name of the layout of a set. Raises `InputError` that says what was found and what each layout has."""
    folder = Path(folder)
    for name, layout in LAYOUTS.items():
        if folder.is_dir() and layout.matches(folder):
            return name
    known = "; ".join(f"{name} ({layout.EXPECTED})" for name, layout in LAYOUTS.items())
    raise InputError(
        file=folder,
        found=_describe(folder),
        expected=f"a set in one of these layouts: {known}",
        remedy="give the folder that directly holds these files under `general` in the parameters",
    )


def find_problems(folder: str | Path) -> list[InputError]:
    """What keeps a set from being read, without reading any volume."""
    try:
        layout = LAYOUTS[choose_layout(folder)]
    except InputError as error:
        return [error]
    return layout.find_problems(Path(folder))


def list_cases(folder: str | Path, part: str, reading: Reading = AS_STORED) -> list[Case]:
    """Cases of the part `Tr` (to train on) or `Ts` (to score), sorted by id. Raises `InputError`."""
    if part not in PARTS:
        raise ValueError(f"part {part!r} is not one of {PARTS}")
    cases = LAYOUTS[choose_layout(folder)].list_cases(Path(folder), part, reading)
    read = (
        replace(case, spacing_mm=reading.spacing_mm, preprocessing=reading.preprocessing) for case in cases
    )
    return sorted(read, key=lambda case: case.id)


def load_case(case: Case) -> tuple[np.ndarray, np.ndarray, tuple[float, float, float], dict[str, int]]:
    """(image float32 (d, h, w), label uint8 (d, h, w), spacing_mm (d, h, w), label names).

    Axes are brought to the closest canonical (RAS+) order, so (d, h, w) is (superior, anterior, right), and
    volumes to `case.spacing_mm` if it is given: as `ours` (`volumes.resample`), or as official SAM-Med3D does
    (`data.official_grid`). Intensities are the file's own values in both.

    Raises:
        InputError: for unreadable files, or a label map that does not lie where its image does.
    """
    image, spacing_mm, affine = read_image(case.image)
    label = read_label(case.label, case.names, image.shape, affine, case.image)
    if case.preprocessing == "official":
        return (*_load_official(case, label, affine), case.names)
    if case.spacing_mm is not None:
        image, label, spacing_mm = resample(image, label, spacing_mm, case.spacing_mm)
    return image, label, spacing_mm, case.names


def _load_official(
    case: Case, label: np.ndarray, affine: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[float, float, float]]:
    """Image, label map and spacing as official SAM-Med3D sees them; its (x, y, z) are our (w, h, d)."""
    if case.spacing_mm is None:
        raise InputError(
            file=case.image,
            found="official preprocessing without a spacing",
            expected="general_reading.spacing_mm of the weights (1.5)",
            remedy="set general_reading.spacing_mm in the parameters",
        )
    settings = replace(RELEASED, spacing_mm=case.spacing_mm)
    try:
        image = to_canonical(resample_official(read_volume(case.image), settings, "linear"))
        found = resample_official(Volume(label.transpose(2, 1, 0), affine), settings, "nearest")
    except ValueError as error:
        raise InputError(
            file=case.image,
            found=str(error),
            expected="a volume of at least one voxel at that spacing",
            remedy="leave the case out",
        ) from None
    spacing = (case.spacing_mm,) * 3
    return _as_dhw(image.array.astype(np.float32)), _as_dhw(to_canonical(found).array), spacing


def _as_dhw(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array.transpose(2, 1, 0))


def read_names(folder: str | Path) -> dict[str, int]:
    """Label name -> value, without background."""
    return LAYOUTS[choose_layout(folder)].read_names(Path(folder))


def hash_case(case: Case) -> list[str]:
    """SHA-256 of the image and of the label map, or of the names and contents of a folder of masks."""
    if case.label.is_file():
        return [sha256(case.image), sha256(case.label)]
    files = [f"{file.name} {sha256(file)}" for file in sorted(case.label.glob("*.nii.gz"))]
    return [sha256(case.image), hashlib.sha256("\n".join(files).encode()).hexdigest()]


def _describe(folder: Path) -> str:
    if not folder.is_dir():
        return "a file" if folder.exists() else "no such folder"
    names = sorted(place.name + "/" * place.is_dir() for place in folder.iterdir())
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return f"a folder with {shown}" if names else "an empty folder"
