"""AMOS22 as published: abdominal CT and MR with 15 organs.

imagesTr, labelsTr, imagesVa, labelsVa with amos_0001.nii.gz, and dataset.json. The labels of imagesTs are not
public, so the validation part is what is scored.
Source: Ji et al., AMOS, NeurIPS 2022 data sets track; numbers up to 500 are CT, above are MR.
"""

from __future__ import annotations

import re
from pathlib import Path

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.general import nnunet
from uscl_med3d.data.general.base import Case, Reading, collect, label_of, missing_folders

PUBLISHED = {"Tr": "Tr", "Ts": "Va"}
FOLDERS = ("imagesTr", "labelsTr", "imagesVa", "labelsVa")
EXPECTED = "imagesTr, labelsTr, imagesVa, labelsVa (amos_0001.nii.gz), dataset.json"
NAME = re.compile(r"amos_(?P<number>\d{4})(_0000)?\.nii\.gz")
LAST_CT = 500


def matches(folder: Path) -> bool:
    """Whether the validation part is there, which only this layout has."""
    return (folder / "imagesVa").is_dir() or (folder / "labelsVa").is_dir()


def find_problems(folder: Path) -> list[InputError]:
    """Missing folders, and a dataset.json that cannot be used."""
    return missing_folders(folder, FOLDERS, "AMOS22", EXPECTED) + collect(lambda: read_names(folder))


def list_cases(folder: Path, part: str, reading: Reading) -> list[Case]:
    """Cases of imagesTr or imagesVa in the modalities asked for."""
    names = read_names(folder)
    published = PUBLISHED[part]
    cases = []
    for image in sorted((folder / f"images{published}").glob("*.nii.gz")):
        match = NAME.fullmatch(image.name)
        if match is None:
            raise InputError(
                file=image,
                found=f"file name {image.name!r}",
                expected="names like amos_0001.nii.gz",
                remedy="move the file out of the folder",
            )
        if ("ct" if int(match["number"]) <= LAST_CT else "mr") not in reading.modalities:
            continue
        case = f"amos_{match['number']}"
        label = label_of(folder / f"labels{published}" / f"{case}.nii.gz", image)
        cases.append(Case(id=case, patient=case, image=image, label=label, names=names))
    if not cases:
        raise InputError(
            file=folder / f"images{published}",
            found=f"no image of the modalities {', '.join(reading.modalities)}",
            expected="images amos_0001.nii.gz; numbers up to 500 are CT, above are MR",
            remedy="put the images there, or change general_reading.modalities in the parameters",
        )
    return cases


def read_names(folder: Path) -> dict[str, int]:
    """Label name -> value from dataset.json, without background."""
    return nnunet.read_names(folder)
