"""What fine-tuning may see: pseudo-labelled sweeps of training patients, annotated key frames of validation patients."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import sha256
from uscl_med3d.data.sweeps import load_pseudolabelled, load_sweep, read_splits


class LabelledSweeps:
    """Names of sweeps, and how to load them; nothing else can be read through this.

    Attributes:
        train: pseudo-labelled sweeps of training patients, sorted. validation: sweeps of validation patients, sorted.

    Raises:
        InputError: without any pseudo-labelled sweep of a training patient.
    """

    def __init__(self, volumes_dir: Path, splits_csv: Path, pseudolabels_dir: Path) -> None:
        self.volumes, self.pseudolabels = Path(volumes_dir), Path(pseudolabels_dir)
        splits = read_splits(splits_csv)
        wanted = sorted(splits.loc[splits["split"] == "train", "sweep"])
        self.train = [sweep for sweep in wanted if self._label(sweep).is_file()]
        self.validation = sorted(splits.loc[splits["split"] == "val", "sweep"])
        if not self.train:
            raise InputError(
                file=pseudolabels_dir,
                found="no pseudo-labelled sweep of a training patient",
                expected="at least one sweep to train on",
                remedy="annotate key frames of training patients, or relax the gate of `pseudolabel`",
            )

    def load_train(self, sweep: str) -> tuple[np.ndarray, np.ndarray]:
        """Image and pseudo-label (d, h, w); 255 where nothing is known."""
        return load_pseudolabelled(self.volumes, self.pseudolabels, sweep)

    def load_validation(self, sweep: str) -> tuple[np.ndarray, np.ndarray]:
        """Image and annotated key frames (d, h, w); 255 on all other frames."""
        loaded = load_sweep(self.volumes, sweep)
        return loaded.image, loaded.key_frames

    def hashes(self) -> dict[str, str]:
        """SHA-256 of every pseudo-label, for fingerprints."""
        return {path.name: sha256(path) for path in sorted(self.pseudolabels.glob("*.nii.gz"))}

    def _label(self, sweep: str) -> Path:
        return self.pseudolabels / f"{sweep}.nii.gz"
