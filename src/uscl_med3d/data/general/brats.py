"""BraTS 2020 and 2021 as published: four contrasts of a brain with a glioma, on one grid.

BraTS2021_00000/BraTS2021_00000_{t1,t1ce,t2,flair,seg}.nii.gz, or BraTS20_Training_001/... (.nii or .nii.gz).
Labels: 1 necrotic core, 2 oedema, 4 enhancing tumour. What is scored are the three regions of the challenge,
which overlap. There is no public split with labels, so patients are split here.
Source: Baid et al. 2021, arXiv 2107.02314.
"""

from __future__ import annotations

import re
from pathlib import Path

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.general.base import Case, Reading, collect, draw_split

EXPECTED = "BraTS2021_00000/BraTS2021_00000_{t1,t1ce,t2,flair,seg}.nii.gz, or BraTS20_Training_001/..."
PATIENT = re.compile(r"BraTS(20|2021)_[A-Za-z0-9_]*\d+")
CONTRASTS = ("t1", "t1ce", "t2", "flair")
LABELS = {"necrotic_core": 1, "oedema": 2, "enhancing_tumour": 4}
REGIONS = {"whole_tumour": (1, 2, 4), "tumour_core": (1, 4), "enhancing_tumour": (4,)}


def matches(folder: Path) -> bool:
    """Whether a patient's folder is there."""
    return any(_list_patients(folder))


def find_problems(folder: Path) -> list[InputError]:
    """Patients with a missing contrast or segmentation."""
    return collect(*[lambda place=place: _files_of(place) for place in _list_patients(folder)])


def list_cases(folder: Path, part: str, reading: Reading) -> list[Case]:
    """Each contrast of each patient of the part that the seed gives them."""
    places = _list_patients(folder)
    chosen = draw_split([place.name for place in places], part, "brats", reading, folder)
    cases = []
    for place in places:
        if place.name not in chosen:
            continue
        files = _files_of(place)
        cases += [
            Case(
                id=f"{place.name}_{contrast}",
                patient=place.name,
                image=files[contrast],
                label=files["seg"],
                names=LABELS,
                regions=REGIONS,
            )
            for contrast in CONTRASTS
        ]
    return cases


def read_names(folder: Path) -> dict[str, int]:
    """The labels of the challenge: the folder does not state them."""
    return LABELS


def _list_patients(folder: Path) -> list[Path]:
    return sorted(
        place for place in folder.glob("BraTS*") if place.is_dir() and PATIENT.fullmatch(place.name)
    )


def _files_of(place: Path) -> dict[str, Path]:
    files = {}
    for kind in (*CONTRASTS, "seg"):
        choices = [place / f"{place.name}_{kind}{suffix}" for suffix in (".nii.gz", ".nii")]
        found = [file for file in choices if file.is_file()]
        if not found:
            raise InputError(
                file=choices[0],
                found="no such file",
                expected=f"the files of a patient: {EXPECTED}",
                remedy="put the file there under this name, or move the patient's folder away",
            )
        files[kind] = found[0]
    return files
