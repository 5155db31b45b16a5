"""nnU-Net's layout.

imagesTr, labelsTr, imagesTs, labelsTs with <case>.nii.gz (images may end in _0000, _0001, ... per contrast),
and dataset.json with the names of the labels, or of regions of several labels.
"""

from __future__ import annotations

import re
from pathlib import Path

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json
from uscl_med3d.data.general.base import Case, Reading, collect, label_of, missing_folders, parse_names

FOLDERS = ("imagesTr", "labelsTr", "imagesTs", "labelsTs")
EXPECTED = "imagesTr, labelsTr, imagesTs, labelsTs (<case>.nii.gz), dataset.json"
CHANNEL = re.compile(r"(?P<patient>.+)_(?P<channel>\d{4})")


def matches(folder: Path) -> bool:
    """Whether at least one part of the layout is there."""
    return (folder / "dataset.json").is_file() or any((folder / name).is_dir() for name in FOLDERS)


def find_problems(folder: Path) -> list[InputError]:
    """Missing folders, and a dataset.json that cannot be used."""
    return missing_folders(folder, FOLDERS, "nnU-Net layout", EXPECTED) + collect(lambda: read_names(folder))


def list_cases(folder: Path, part: str, reading: Reading) -> list[Case]:
    """Cases of images<part>."""
    names, regions = _read_labels(folder)
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
    return [
        Case(
            id=patient if patients.count(patient) == 1 else f"{patient}_{channel}",
            patient=patient,
            image=image,
            label=label_of(folder / f"labels{part}" / f"{patient}.nii.gz", image),
            names=names,
            regions=regions,
        )
        for image, patient, channel in found
    ]


def read_names(folder: Path) -> dict[str, int]:
    """Label name -> value from dataset.json, without background."""
    return _read_labels(folder)[0]


def _read_labels(folder: Path) -> tuple[dict[str, int], dict[str, tuple[int, ...]]]:
    file = folder / "dataset.json"
    content = read_json(file)
    return parse_names(content.get("labels") if isinstance(content, dict) else None, file)


def _split_name(image: Path) -> tuple[str, str]:
    stem = image.name.removesuffix(".nii.gz")
    match = CHANNEL.fullmatch(stem)
    return (match["patient"], match["channel"]) if match else (stem, "0000")
