"""General-domain sets (CT and MR) as folders in nnU-Net layout.

imagesTr, labelsTr, imagesTs, labelsTs with <case>.nii.gz (images may end in _0000, _0001, ... per contrast),
and dataset.json with the names of the labels. Other published layouts get a module of their own and the same
functions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json

PARTS = ("Tr", "Ts")
CHANNEL = re.compile(r"(?P<patient>.+)_(?P<channel>\d{4})")


@dataclass(frozen=True)
class Case:
    """One image of a set. Each contrast of a patient is a case of its own, with the same label."""

    id: str
    patient: str
    image: Path
    label: Path
    names: dict[str, int]


def list_cases(folder: str | Path, part: str) -> list[Case]:
    """Cases of the part `Tr` or `Ts`, sorted by id. Raises `InputError`."""
    folder = Path(folder)
    if part not in PARTS:
        raise ValueError(f"part {part!r} is not one of {PARTS}")
    names = read_names(folder)
    images = sorted((folder / f"images{part}").glob("*.nii.gz"))
    if not images:
        raise InputError(
            file=folder / f"images{part}",
            found="no *.nii.gz",
            expected="images in nnU-Net layout",
            remedy="put the images there, or correct the set's folder under `general` in the parameters",
        )
    found = [(image, *_split_name(image)) for image in images]
    patients = [patient for _, patient, _ in found]
    cases = []
    for image, patient, channel in found:
        label = folder / f"labels{part}" / f"{patient}.nii.gz"
        if not label.is_file():
            raise InputError(
                file=label,
                found="no such file",
                expected=f"the label map of {image.name}",
                remedy="put the label map there, or move the image out of the folder",
            )
        case_id = patient if patients.count(patient) == 1 else f"{patient}_{channel}"
        cases.append(Case(id=case_id, patient=patient, image=image, label=label, names=names))
    return sorted(cases, key=lambda case: case.id)


def load_case(case: Case) -> tuple[np.ndarray, np.ndarray, tuple[float, float, float], dict[str, int]]:
    """(image float32 (d, h, w), label uint8 (d, h, w), spacing_mm (d, h, w), label names).

    Axes are brought to the closest canonical (RAS+) order, so (d, h, w) is (superior, anterior, right).
    """
    image, spacing_mm = _load_canonical(case.image)
    label, _ = _load_canonical(case.label)
    if label.shape != image.shape:
        raise InputError(
            file=case.label,
            found=f"shape {label.shape}",
            expected=f"{image.shape}, as {case.image.name}",
            remedy="export image and label map on one grid",
        )
    image = image.astype(np.float32)
    if not np.isfinite(image).all():
        raise InputError(
            file=case.image,
            found="NaN or infinite values",
            expected="finite intensities",
            remedy="repair the image",
        )
    if label.min() < 0 or label.max() > 255:
        raise InputError(
            file=case.label,
            found=f"label values {label.min()} to {label.max()}",
            expected="values of 0 to 255",
            remedy="renumber the labels",
        )
    return image, label.astype(np.uint8), spacing_mm, case.names


def read_names(folder: str | Path) -> dict[str, int]:
    """Label name -> value from dataset.json, without background; both published key orders are read."""
    file = Path(folder) / "dataset.json"
    content = read_json(file)
    labels = content.get("labels") if isinstance(content, dict) else None
    try:
        names = {}
        for key, value in labels.items():
            name, number = (value, int(key)) if str(key).isdigit() else (key, int(value))
            if number:
                names[str(name)] = number
        assert names
        return names
    except (AttributeError, TypeError, ValueError, AssertionError) as error:
        raise InputError(
            file=file,
            found=f"labels: {labels!r:.200}",
            expected='"labels": {"background": 0, "liver": 1, ...}',
            remedy="write dataset.json as nnU-Net defines it",
        ) from error


def _split_name(image: Path) -> tuple[str, str]:
    stem = image.name.removesuffix(".nii.gz")
    match = CHANNEL.fullmatch(stem)
    return (match["patient"], match["channel"]) if match else (stem, "0000")


def _load_canonical(path: Path) -> tuple[np.ndarray, tuple[float, float, float]]:
    import nibabel

    try:
        volume = nibabel.as_closest_canonical(nibabel.load(path))
        array = np.asanyarray(volume.dataobj)
    except Exception as error:
        raise InputError(
            file=path,
            found=f"{type(error).__name__}: {error}",
            expected="a readable NIfTI volume",
            remedy="copy the file again",
        ) from error
    if array.ndim != 3:
        raise InputError(
            file=path, found=f"shape {array.shape}", expected="3 axes", remedy="export one 3D volume per file"
        )
    zooms = volume.header.get_zooms()
    return np.ascontiguousarray(array.transpose(2, 1, 0)), (float(zooms[2]), float(zooms[1]), float(zooms[0]))
