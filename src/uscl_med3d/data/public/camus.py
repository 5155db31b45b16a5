"""CAMUS: apical two- and four-chamber sequences of the heart from end-diastole to end-systole, every frame labelled.

database_nifti/patient0001/patient0001_2CH_half_sequence.nii.gz and ..._half_sequence_gt.nii.gz; database_split/
subgroup_training.txt, subgroup_validation.txt, subgroup_testing.txt. Frames follow each other in time, not in space.
Source: Leclerc et al. 2019, IEEE Transactions on Medical Imaging 38(9).
"""

from __future__ import annotations

from pathlib import Path

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.public.base import Recording
from uscl_med3d.data.published import need

EXPECTED = (
    "database_nifti/patient0001/patient0001_2CH_half_sequence.nii.gz, ..._gt.nii.gz; database_split/*.txt"
)
SPLITS = {"training": "train", "validation": "val", "testing": "test"}
VIEWS = ("2CH", "4CH")
NAMES = {1: "left_ventricle", 2: "myocardium", 3: "left_atrium"}


def list_recordings(folder: Path) -> list[Recording]:
    """Both views of every patient of the three published lists."""
    root = need(folder / "database_nifti", EXPECTED)
    splits: dict[str, str] = {}
    for name, split in SPLITS.items():
        file = need(folder / "database_split" / f"subgroup_{name}.txt", EXPECTED)
        for patient in file.read_text(encoding="utf-8").split():
            if not patient.isalnum() or patient in splits:
                raise InputError(
                    file=file,
                    found=f"patient {patient!r}" + (" in two lists" if patient in splits else ""),
                    expected="patients like patient0001, each in one list",
                    remedy="use the published lists",
                )
            splits[patient] = split
    recordings = []
    for patient, split in sorted(splits.items()):
        for view in VIEWS:
            stem = root / patient / f"{patient}_{view}_half_sequence"
            image = need(stem.with_name(stem.name + ".nii.gz"), f"the {view} sequence of {patient}")
            label = need(stem.with_name(stem.name + "_gt.nii.gz"), f"the label map of {image.name}")
            recordings.append(
                Recording(
                    patient,
                    f"{patient}_{view}",
                    "heart",
                    f"heart_{view.lower()}",
                    split,
                    "sector",
                    image,
                    label,
                    NAMES,
                    tracked=False,
                )
            )
    return recordings
