"""Frames whose features are probed, with what is known of each: which structures every cell of a grid shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from uscl_med3d.core.errors import InputError
from uscl_med3d.data.sweeps import load_pseudolabel, load_sweep, read_splits
from uscl_med3d.selfsupervised.frames import normalise_frames

UNKNOWN = -1
_NO_LABEL = 255  # of voxels without a label, in reference masks and pseudo-labels


@dataclass(frozen=True)
class ProbeFrames:
    """Frames of one split.

    Attributes:
        images: (n, 1, s, s) float32, as the encoder sees them.
        table: one row a frame: patient, sweep, group, frame.
        targets: structure -> (n, g, g) int8, of the g x g cells of a frame: 1 the cell shows it, 0 it does not, `UNKNOWN`
            outside the fan, without a label, or where it is not asked.
        step: probes ask every so many-th cell in both directions, because neighbours say nearly the same.
    """

    images: Tensor
    table: pd.DataFrame
    targets: dict[str, np.ndarray]
    step: int

    @property
    def grid(self) -> int:
        """Cells per side of a frame."""
        return int(next(iter(self.targets.values())).shape[-1])

    def answers(self, target: str) -> np.ndarray:
        """What the probed cells show, (n, places) int8."""
        return self.targets[target][:, :: self.step, :: self.step].reshape(len(self.table), -1)

    def pick_places(self, maps: Tensor) -> np.ndarray:
        """Features of the probed cells: (n, c, g, g) -> (n, places, c)."""
        return maps[:, :, :: self.step, :: self.step].flatten(2).transpose(1, 2).numpy()

    def shuffle_masks(self, random: np.random.Generator) -> ProbeFrames:
        """The same images with the masks of other frames of their group."""
        order = shuffle_in_groups(self.table["group"].to_numpy(), random)
        return replace(self, targets={name: give_masks(own, order) for name, own in self.targets.items()})


def shuffle_in_groups(groups: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """For every frame (n,) the number of the frame of its group whose mask it gets."""
    order = np.arange(len(groups))
    for group in sorted(set(groups)):
        members = np.flatnonzero(groups == group)
        order[members] = random.permutation(members)
    return order


def give_masks(answers: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Answers (n, ...) of the frames `order` (n,); known only where the frame's own cell and the other's are."""
    return np.where(answers == UNKNOWN, UNKNOWN, answers[order]).astype(np.int8)


def load_probe_frames(
    volumes: Path, splits_csv: Path, pseudolabels: Path, split: str, frames: Any, classes: Mapping[str, int]
) -> ProbeFrames:
    """Every `frames.every`-th frame of the sweeps of a split.

    Of training patients, a structure is known from the accepted pseudo-labels, which is what a user has; of others from
    the reference masks.

    Raises:
        InputError: no sweep of the split has labels.
    """
    images, rows, answers = [], [], []
    manifest = read_splits(splits_csv)
    for row in manifest[manifest["split"] == split].sort_values(["patient", "sweep"]).to_dict("records"):
        sweep = load_sweep(volumes, row["sweep"])
        label = _read_label(sweep, pseudolabels, split)
        if label is None:
            continue
        chosen = np.arange(frames.every // 2, len(sweep.image), frames.every)
        chosen = chosen[(label[chosen] != _NO_LABEL).any((1, 2))]
        if not len(chosen):
            continue
        images.append(normalise_frames(torch.from_numpy(sweep.image[chosen])[:, None], frames.size))
        answers.append(ask_cells(sweep.image[chosen], label[chosen], list(classes.values()), frames))
        rows += [{k: row[k] for k in ("patient", "sweep", "group")} | {"frame": int(n)} for n in chosen]
    if not rows:
        raise InputError(
            file=splits_csv,
            found=f"no labelled sweep of the split {split}",
            expected="labelled sweeps of training, validation and test patients",
            remedy="annotate sweeps of this split, or give patients this split in cohort.csv",
        )
    whole = np.concatenate(answers)
    targets = {name: whole[:, place] for place, name in enumerate(classes)}
    return ProbeFrames(torch.cat(images), pd.DataFrame(rows), targets, frames.grid_step)


def ask_cells(image: np.ndarray, label: np.ndarray, values: list[int], frames: Any) -> np.ndarray:
    """Which structures the cells of frames show.

    A cell shows a structure where at least the share `frames.cell_share` of it does. It is known where as much of it is
    labelled and not black: black is outside the fan.

    Args:
        image, label: (n, h, w) uint8. values: of the structures in `label`.

    Returns:
        (n, structures, g, g) int8 of 0, 1 and `UNKNOWN`.
    """

    def share(where: np.ndarray) -> Tensor:
        return F.adaptive_avg_pool2d(torch.from_numpy(where).float()[:, None], frames.grid)

    known = (share(label != _NO_LABEL) >= frames.cell_share) & (share(image > 0) >= frames.cell_share)
    shown = torch.cat([share(label == value) >= frames.cell_share for value in values], 1)
    return torch.where(known, shown.to(torch.int8), UNKNOWN).to(torch.int8).numpy()


def ask_in_groups(train: ProbeFrames, others: list[ProbeFrames]) -> None:
    """Set structures of groups whose training frames do not show them to `UNKNOWN`, everywhere; in place.

    Elsewhere the group would be the answer.
    """
    for name in train.targets:
        shown = set(train.table["group"][(train.targets[name] == 1).any((1, 2))])
        for frames in [train, *others]:
            frames.targets[name][~frames.table["group"].isin(shown).to_numpy()] = UNKNOWN


def _read_label(sweep: Any, pseudolabels: Path, split: str) -> np.ndarray | None:
    if split != "train":
        return sweep.reference
    file = Path(pseudolabels) / f"{sweep.id}.nii.gz"
    return load_pseudolabel(pseudolabels, sweep.id, sweep.image.shape) if file.is_file() else None
