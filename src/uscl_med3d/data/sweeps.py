"""Loading what `ingest` wrote: sweeps and the split manifest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import load_volume, read_json
from uscl_med3d.data.splits import guard_splits, hash_splits, read_splits

__all__ = [
    "Sweep",
    "guard_splits",
    "hash_splits",
    "load_pseudolabel",
    "load_pseudolabelled",
    "load_sweep",
    "read_splits",
]


@dataclass(frozen=True)
class Sweep:
    """One ingested sweep; all arrays uint8 (d, h, w).

    image: grey values 1..255 inside the fan, 0 outside. key_frames: label map, 255 on frames without
    annotation. reference: label map for evaluation only, None where the cohort names none.
    """

    id: str
    image: np.ndarray
    key_frames: np.ndarray
    reference: np.ndarray | None
    sidecar: dict[str, Any]

    @property
    def fan(self) -> np.ndarray:
        """Image region, bool (d, h, w)."""
        return self.image > 0

    @property
    def spacing_mm(self) -> tuple[float | None, float | None, float | None]:
        """Spacing (d, h, w) in millimetres; None where it is unknown."""
        spacing = self.sidecar["spacing_mm"]
        return spacing["d"], spacing["h"], spacing["w"]

    def key_frame_indices(self, role: str) -> list[int]:
        """Positions along d of the key frames with the role `prompt`, `held_out` or `correction`."""
        return [entry["index"] for entry in self.sidecar["key_frames"] if entry["role"] == role]


def load_sweep(volumes_dir: str | Path, sweep: str) -> Sweep:
    """Read one sweep. Raises `InputError` where a file is missing, broken or of another size."""
    folder = Path(volumes_dir) / sweep
    sidecar = read_json(folder / "sidecar.json")
    image = load_volume(folder / "image.nii.gz")[0]
    key_frames = load_volume(folder / "key_frames.nii.gz")[0]
    reference = load_volume(folder / "reference.nii.gz")[0] if sidecar["has_reference"] else None
    for name, array in (("key_frames", key_frames), ("reference", reference)):
        if array is not None and array.shape != image.shape:
            raise InputError(
                file=folder / f"{name}.nii.gz",
                found=f"shape {array.shape}",
                expected=f"{image.shape}, as image.nii.gz",
                remedy="delete the folder of the volumes and run `ingest` again",
            )
    return Sweep(id=sweep, image=image, key_frames=key_frames, reference=reference, sidecar=sidecar)


def load_pseudolabelled(
    volumes_dir: str | Path, pseudolabels_dir: str | Path, sweep: str
) -> tuple[np.ndarray, np.ndarray]:
    """Image and pseudo-labels (d, h, w) of one sweep; 255 on rejected frames.

    Raises:
        InputError: where a file is missing or broken, or the labels are of another size.
    """
    image = load_sweep(volumes_dir, sweep).image
    return image, load_pseudolabel(pseudolabels_dir, sweep, image.shape)


def load_pseudolabel(pseudolabels_dir: str | Path, sweep: str, shape: tuple[int, ...]) -> np.ndarray:
    """Pseudo-labels (d, h, w) of one sweep of `shape`; 255 on rejected frames. Errors as above."""
    file = Path(pseudolabels_dir) / f"{sweep}.nii.gz"
    label = load_volume(file)[0]
    if label.shape != shape:
        raise InputError(
            file=file,
            found=f"shape {label.shape}",
            expected=f"{shape}, as its image.nii.gz",
            remedy="delete the file, so that `pseudolabel` writes it again for the present volumes",
        )
    return label
