"""TDSC-ABUS 2023: automated 3D breast ultrasound volumes with a tumour each.

Train/DATA/DATA_000.nrrd, Train/MASK/MASK_000.nrrd, and the same in Validation and Test. Cases are numbered through all
parts, one volume each; the set names no patients, so each case counts as one.
Source: Luo et al. 2025, arXiv 2501.15588.
"""

from __future__ import annotations

import re
from pathlib import Path

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.public.base import Recording
from uscl_med3d.data.published import need

EXPECTED = "Train, Validation, Test, each with DATA/DATA_000.nrrd and MASK/MASK_000.nrrd"
PARTS = {"train": "train", "validation": "val", "val": "val", "test": "test"}
NAME = re.compile(r"DATA_(\d{3})\.nrrd")
NAMES = {1: "tumour"}


def list_recordings(folder: Path) -> list[Recording]:
    """Volumes of all parts that are there; the training part must be."""
    recordings = []
    for part in sorted(folder.iterdir()) if folder.is_dir() else []:
        split = PARTS.get(part.name.lower())
        if split is None or not part.is_dir():
            continue
        for image in sorted(need(part / "DATA", EXPECTED).glob("*.nrrd")):
            match = NAME.fullmatch(image.name)
            if match is None:
                continue
            name = f"abus_{match[1]}"
            label = need(part / "MASK" / f"MASK_{match[1]}.nrrd", f"the mask of {image.name}")
            recordings.append(
                Recording(name, name, "breast", "breast", split, "linear", image, label, NAMES, tracked=True)
            )
    if not any(recording.split == "train" for recording in recordings):
        raise InputError(
            file=folder,
            found="no training volume DATA_000.nrrd",
            expected=EXPECTED,
            remedy="give the folder that holds the parts",
        )
    return recordings
