"""SegThy: tracked 3D freehand ultrasound of the thyroid, compounded to volumes.

ground_truth_data/US/001_P1_1_left_US.nii and ground_truth_data/US_thyroid_label/001_P1_1_left.nii, as in
US_data/US_volunteer_dataset. The first number is the volunteer. No published split.
Source: Kronke et al. 2022, PLoS ONE 17(7) e0268550.
"""

from __future__ import annotations

import re
from pathlib import Path

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.public.base import Recording
from uscl_med3d.data.published import need

EXPECTED = "ground_truth_data/US/001_P1_1_left_US.nii, ground_truth_data/US_thyroid_label/001_P1_1_left.nii"
NAME = re.compile(
    r"(?P<sweep>(?P<volunteer>\d{3})_P\d+_\d+_(?P<side>left|right))_US\.nii(\.gz)?", re.IGNORECASE
)
# Vessels have a value for each side.
NAMES = {1: "thyroid", 2: "carotid_artery", 3: "jugular_vein", 4: "carotid_artery", 5: "jugular_vein"}


def list_recordings(folder: Path) -> list[Recording]:
    """Volumes that have a label map; the set holds more volumes than labels."""
    root = (
        next(
            (
                place
                for place in (
                    folder,
                    folder / "US_volunteer_dataset",
                    folder / "US_data/US_volunteer_dataset",
                )
                if (place / "ground_truth_data").is_dir()
            ),
            folder,
        )
        / "ground_truth_data"
    )
    labels = need(root / "US_thyroid_label", EXPECTED)
    recordings = []
    for image in sorted(need(root / "US", EXPECTED).iterdir()):
        match = NAME.fullmatch(image.name)
        if match is None:
            continue
        found = [labels / f"{match['sweep']}{suffix}" for suffix in (".nii", ".nii.gz")]
        label = next((file for file in found if file.is_file()), None)
        if label is None:
            continue
        view = f"neck_{match['side'].lower()}"
        recordings.append(
            Recording(
                f"segthy_{match['volunteer']}",
                f"segthy_{match['sweep']}",
                "neck",
                view,
                "",
                "linear",
                image,
                label,
                NAMES,
                tracked=True,
            )
        )
    if not recordings:
        raise InputError(
            file=root,
            found="no volume with a label map",
            expected=EXPECTED,
            remedy="give the folder US_volunteer_dataset",
        )
    return recordings
