"""TotalSegmentator as published: whole-body CT (or MR), one binary mask per structure.

s0001/ct.nii.gz (mri.nii.gz in the MR set), s0001/segmentations/<structure>.nii.gz, and meta.csv, separated by
semicolons, with the columns image_id and split (train, val, test).
Source: Wasserthal et al. 2023, zenodo 10047292 (CT) and 14710732 (MR).
"""

from __future__ import annotations

import csv
from pathlib import Path

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.general.base import Case, Reading, collect

EXPECTED = "s0001/ct.nii.gz, s0001/segmentations/<structure>.nii.gz, meta.csv (image_id;...;split)"
IMAGES = ("ct.nii.gz", "mri.nii.gz")
SPLITS = {"Tr": "train", "Ts": "test"}
PUBLISHED = ("train", "val", "test")
MOST_STRUCTURES = 255  # label maps are 8-bit


def matches(folder: Path) -> bool:
    """Whether the table or a subject is there."""
    return (folder / "meta.csv").is_file() or any(folder.glob("s[0-9]*/segmentations"))


def find_problems(folder: Path) -> list[InputError]:
    """A table that cannot be used, subjects that it names but that are not there, and no structures."""
    return collect(
        lambda: _list_subjects(folder, "Tr"),
        lambda: _list_subjects(folder, "Ts"),
        lambda: read_names(folder),
    )


def list_cases(folder: Path, part: str, reading: Reading) -> list[Case]:
    """Subjects of the published split `train` or `test`; `val` is not used."""
    names = read_names(folder)
    return [
        Case(id=name, patient=name, image=image, label=folder / name / "segmentations", names=names)
        for name, image in _list_subjects(folder, part)
    ]


def read_names(folder: Path) -> dict[str, int]:
    """Structures of all subjects, numbered from 1 in alphabetical order."""
    files = folder.glob("s[0-9]*/segmentations/*.nii.gz")
    names = sorted({file.name.removesuffix(".nii.gz") for file in files})
    if not 0 < len(names) <= MOST_STRUCTURES:
        raise InputError(
            file=folder,
            found=f"{len(names)} structures in s*/segmentations",
            expected=f"1 to {MOST_STRUCTURES} structures: {EXPECTED}",
            remedy="put the whole set there",
        )
    return {name: value for value, name in enumerate(names, start=1)}


def _list_subjects(folder: Path, part: str) -> list[tuple[str, Path]]:
    """(subject, image) of one part, sorted."""
    table = folder / "meta.csv"
    wanted = [name for name, split in _read_table(table) if split == SPLITS[part]]
    if not wanted:
        raise InputError(
            file=table,
            found=f"no subject of the split {SPLITS[part]!r}",
            expected="subjects of the splits train and test",
            remedy="use the published meta.csv",
        )
    found = []
    for name in sorted(wanted):
        image = next((folder / name / file for file in IMAGES if (folder / name / file).is_file()), None)
        if image is None or not (folder / name / "segmentations").is_dir():
            raise InputError(
                file=folder / name,
                found="no such folder"
                if not (folder / name).is_dir()
                else "no image or no folder segmentations",
                expected=f"the subject that meta.csv names: {EXPECTED}",
                remedy="put the subject there, or take its line out of meta.csv",
            )
        found.append((name, image))
    return found


def _read_table(table: Path) -> list[tuple[str, str]]:
    try:
        with open(table, newline="", encoding="utf-8-sig") as stream:
            rows = [
                ((row["image_id"] or "").strip(), (row["split"] or "").strip())
                for row in csv.DictReader(stream, delimiter=";")
            ]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
        found = f"no column {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(
            file=table,
            found=found,
            expected="the published table, separated by semicolons, with the columns image_id and split",
            remedy="use the published meta.csv",
        ) from error
    for name, split in rows:
        # A name that leaves the folder, or a split nobody published, is a damaged table.
        if split not in PUBLISHED or not name.isalnum():
            raise InputError(
                file=table,
                found=f"image_id {name!r} with split {split!r}",
                expected=f"ids like s0001 and one of {', '.join(PUBLISHED)}",
                remedy="use the published meta.csv",
            )
    return rows
