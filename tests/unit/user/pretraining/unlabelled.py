"""Small clips without any label, and the shape of a small base model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from scipy.ndimage import gaussian_filter

ROOT = Path(__file__).resolve().parents[4]
SMALL: dict[str, Any] = {
    "ingest": {"max_side": 24, "max_frames": 12},
    "pretrain": {
        "tasks": {
            "vcl": {"random_crops": 2, "head_components": 4, "whitening_sweeps": 3, "validation_crops": 4}
        }
    },
    "ssl": {
        "tasks": {
            name: {"images": 4, "validation_images": 4}
            for name in ("simclr", "simclr_no_same_patient", "byol", "byol_patient", "mae", "simmim")
        }
    },
}
NAMES = ("P01/left.nii.gz", "P01/right.nii.gz", "pat2_a.nii.gz", "sub-03.nii.gz", "lonely.nii.gz")


def write_clip(path: Path, seed: int) -> None:
    """12 frames of 40 x 44 pixels of smooth noise, bright everywhere."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(44, 40, 12)), 3)
    clip = np.clip(120 + 40 * noise / noise.std(), 20, 255).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(clip, np.eye(4)), path)
