"""CAMUS and HMC-QU: the heart, frame by frame.

Sources: Leclerc et al., IEEE TMI 38(9), 2019 (CAMUS); Degerli et al., IEEE Access 9, 2021 (HMC-QU).
"""

from __future__ import annotations

import re
from pathlib import Path

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.images2d.base import ImageSet, Item, Split
from uscl_med3d.data.images2d.sequences import count_frames, read_matlab
from uscl_med3d.data.images2d.tables import read_sheet
from uscl_med3d.data.published import need

CAMUS_EXPECTED = "patient0001/patient0001_2CH_half_sequence.nii.gz and ..._half_sequence_gt.nii.gz"
HMC_EXPECTED = (
    "HMC-QU Echos/HMC-QU Echos/<id>.avi, LV Ground-truth Segmentation Masks/Mask_<id>.mat, HMC_QU.xlsx"
)
_LISTS: dict[str, Split] = {"training": "train", "validation": "val", "testing": "test"}


def list_camus(folder: Path) -> ImageSet:
    """Every frame of both views; groups are patients; split by the published lists where they are there."""
    root = folder / "database_nifti" if (folder / "database_nifti").is_dir() else folder
    patients = sorted(path for path in root.glob("patient*") if path.is_dir())
    if not patients:
        need(root / "patient0001", CAMUS_EXPECTED)
    splits = _camus_lists(folder / "database_split")
    items = []
    for patient in patients:
        for view in ("2CH", "4CH"):
            image = need(patient / f"{patient.name}_{view}_half_sequence.nii.gz", CAMUS_EXPECTED)
            mask = need(patient / f"{patient.name}_{view}_half_sequence_gt.nii.gz", CAMUS_EXPECTED)
            frames, labelled = count_frames(image), count_frames(mask)
            if frames != labelled:
                raise InputError(
                    file=mask,
                    found=f"{labelled} frames",
                    expected=f"{frames} like {image.name}",
                    remedy="unpack the set again",
                )
            items += [
                Item(
                    f"{patient.name}_{view}_{frame:03d}",
                    patient.name,
                    splits.get(patient.name, ""),
                    image,
                    (mask,),
                    {1: 1, 2: 2, 3: 3},
                    frame,
                    frame,
                )
                for frame in range(frames)
            ]
    notes = () if splits else ("The published lists are not there: split by patient.",)
    classes = {"left_ventricle": 1, "myocardium": 2, "left_atrium": 3}
    return ImageSet("camus", tuple(items), classes, "patient", notes)


def list_hmc_qu(folder: Path) -> ImageSet:
    """Frames of one heart cycle of every video with masks; the wall of the left ventricle; test only."""
    table = need(folder / "HMC_QU.xlsx", HMC_EXPECTED)
    echoes = need(folder / "HMC-QU Echos" / "HMC-QU Echos", HMC_EXPECTED)
    masks = need(folder / "LV Ground-truth Segmentation Masks", HMC_EXPECTED)
    items = []
    rows = {row["ECHO"]: row for row in read_sheet(table) if row.get("ECHO")}
    for mask in sorted(masks.glob("Mask_*.mat")):
        name = mask.stem.removeprefix("Mask_")
        start, end = _cycle(table, name, rows.get(name, {}))
        video = need(echoes / f"{name}.avi", HMC_EXPECTED)
        count = len(read_matlab(mask))
        if count != end - start + 1:
            raise InputError(
                file=mask,
                found=f"{count} masks",
                expected=f"{end - start + 1}: frames {start} to {end} of {table.name}",
                remedy="unpack the set again",
            )
        patient = re.split(r"[_\s]", name)[0]
        items += [
            Item(
                f"{name}_{at:03d}",
                patient,
                "test",
                video,
                (mask,),
                {1: 1},
                start - 1 + at,
                at,
                stretched=True,
            )
            for at in range(count)
        ]
    if not items:
        need(masks / "Mask_<id>.mat", HMC_EXPECTED)
    note = "Masks that have another size than the video are stretched to it."
    return ImageSet("hmc_qu", tuple(items), {"left_ventricle_wall": 1}, "patient", (note,))


def _cycle(table: Path, name: str, row: dict[str, str]) -> tuple[int, int]:
    """First and last frame of the cycle, counted from 1."""
    found = {key.lower(): value for key, value in row.items()}
    try:
        start, end = (int(float(found[key])) for key in ("reference frame", "end of cycle"))
    except (KeyError, ValueError):
        raise InputError(
            file=table,
            found=f"no row for {name} with `Reference Frame` and `End of Cycle`",
            expected="a row for every video with a mask",
            remedy="unpack the set again",
        ) from None
    return start, end


def _camus_lists(folder: Path) -> dict[str, Split]:
    if not folder.is_dir():
        return {}
    splits: dict[str, Split] = {}
    for name, split in _LISTS.items():
        file = need(
            folder / f"subgroup_{name}.txt", "subgroup_training.txt, _validation.txt and _testing.txt"
        )
        for patient in file.read_text(encoding="utf-8").split():
            if splits.setdefault(patient, split) != split:
                raise InputError(
                    file=file,
                    found=f"{patient} in two lists",
                    expected="every patient in one list",
                    remedy="use the published lists",
                )
    return splits
