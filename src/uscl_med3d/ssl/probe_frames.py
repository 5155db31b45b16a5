"""Frames whose features are probed, with what is known of each: which structures it shows, and of which group it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.sweeps import load_pseudolabel, load_sweep, read_splits
from uscl_med3d.selfsupervised.frames import normalise_frames
from uscl_med3d.ssl.words import GROUP

UNKNOWN = -1


@dataclass(frozen=True)
class ProbeFrames:
    """Frames of one split.

    Attributes:
        images: (n, 1, s, s) float32, as the encoder sees them.
        table: one row a frame: patient, sweep, group, frame.
        targets: name -> (n,) int8: 1 yes, 0 no, `UNKNOWN` where it is not known or not asked.
    """

    images: Tensor
    table: pd.DataFrame
    targets: dict[str, np.ndarray]

    def choose(self, wanted: np.ndarray) -> ProbeFrames:
        """The frames where `wanted` (n,) bool."""
        targets = {name: values[wanted] for name, values in self.targets.items()}
        return ProbeFrames(
            self.images[torch.from_numpy(wanted)], self.table[wanted].reset_index(drop=True), targets
        )


def load_probe_frames(
    volumes: Path, splits_csv: Path, pseudolabels: Path, split: str, frames: Any, classes: Mapping[str, int]
) -> ProbeFrames:
    """Every `frames.every`-th frame of the sweeps of a split.

    Of training patients, a structure is known from the accepted pseudo-labels, which is what a user has; of others from
    the reference masks. A structure is asked for only in groups whose training sweeps show it at all: elsewhere the
    group would be the answer.

    Raises:
        InputError: no sweep of the split has labels.
    """
    images, rows, labels = [], [], []
    manifest = read_splits(splits_csv)
    for row in manifest[manifest["split"] == split].sort_values(["patient", "sweep"]).to_dict("records"):
        sweep = load_sweep(volumes, row["sweep"])
        label = _read_label(sweep, pseudolabels, split)
        if label is None:
            continue
        chosen = np.arange(frames.every // 2, len(sweep.image), frames.every)
        chosen = chosen[(label[chosen] != 255).any((1, 2))]
        if not len(chosen):
            continue
        images.append(normalise_frames(torch.from_numpy(sweep.image[chosen])[:, None], frames.size))
        counts = np.stack([(label[chosen] == value).sum((1, 2)) for value in classes.values()], 1)
        labels.append(counts >= frames.min_pixels)
        rows += [{k: row[k] for k in ("patient", "sweep", "group")} | {"frame": int(n)} for n in chosen]
    if not rows:
        raise InputError(
            file=splits_csv, found=f"no labelled sweep of the split {split}",
            expected="labelled sweeps of training, validation and test patients",
            remedy="annotate sweeps of this split, or give patients this split in cohort.csv",
        )  # fmt: skip
    table, shown = pd.DataFrame(rows), np.concatenate(labels)
    targets = {name: shown[:, place].astype(np.int8) for place, name in enumerate(classes)}
    targets[GROUP] = (table["group"] == sorted(manifest["group"].unique())[0]).to_numpy(np.int8)
    return ProbeFrames(torch.cat(images), table, targets)


def ask_in_groups(train: ProbeFrames, others: list[ProbeFrames]) -> None:
    """Set structures of groups whose training frames do not show them to `UNKNOWN`, everywhere; in place."""
    for name in [name for name in train.targets if name != GROUP]:
        shown = set(train.table["group"][train.targets[name] == 1])
        for frames in [train, *others]:
            frames.targets[name][~frames.table["group"].isin(shown).to_numpy()] = UNKNOWN


def _read_label(sweep: Any, pseudolabels: Path, split: str) -> np.ndarray | None:
    if split != "train":
        return sweep.reference
    file = Path(pseudolabels) / f"{sweep.id}.nii.gz"
    return load_pseudolabel(pseudolabels, sweep.id, sweep.image.shape) if file.is_file() else None
