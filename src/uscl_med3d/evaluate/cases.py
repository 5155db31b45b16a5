"""What is scored: one `Item` per case and class, with everything the protocol needs to know about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uscl_med3d.core.seeds import rng
from uscl_med3d.data.general import Case, Reading, list_cases, load_case
from uscl_med3d.data.general.base import Preprocessing
from uscl_med3d.data.sweeps import Sweep, load_pseudolabel, load_sweep, read_splits

UNANNOTATED = 255
NO_REFERENCE = "not scored: no reference standard"
NO_PSEUDO_LABEL = "not scored: no accepted pseudo-label of this sweep"


@dataclass(frozen=True)
class Distance:
    """How surface distances of a case are measured.

    unit: `mm`; `voxel`; or `mm_in_plane`, within frames only, where the sweep axis has no millimetres.
    spacing: of (d, h, w) in that unit; d is unused in-plane.
    """

    unit: str
    spacing: tuple[float, float, float]


@dataclass(frozen=True)
class FrameMasks:
    """Masks of one class on some frames: indices along d (n,), and booleans (n, h, w)."""

    frames: np.ndarray
    masks: np.ndarray


@dataclass(frozen=True)
class Item:
    """One object in one case.

    Attributes:
        image: (d, h, w) raw intensities.
        truth: boolean (d, h, w), where clicks are drawn from: the reference volume, or the annotated key
            frames.
        known: boolean (d, h, w), where `truth` is known; None means everywhere.
        reference: name of the volume reference (`true_mask`, `label`), or None where only key frames exist.
        held_out: the frames with a human mask that was never a prompt, or None.
        key_frames: uint8 label map (d, h, w) of all classes, 255 on frames without annotation, for methods
            that are prompted with key frames; None where a case has none by its kind.
        pseudo_label: the pseudo-label's accepted frames (none at all where the gate rejected the sweep), to be
            compared with beside the truth; None where pseudo-labels are not made (test patients, other sets).
    """

    dataset: str
    split: str
    patient: str
    case: str
    name: str
    image: np.ndarray
    truth: np.ndarray
    known: np.ndarray | None
    reference: str | None
    held_out: FrameMasks | None
    distance: Distance
    key_frames: np.ndarray | None = None
    pseudo_label: FrameMasks | None = None


@dataclass(frozen=True)
class Sources:
    """Where cases come from: volumes and splits of the cohort, pseudo-labels, and general-domain sets by name."""

    volumes: Path
    splits: Path
    pseudolabels: Path | None
    general: Mapping[str, Path]


@dataclass(frozen=True)
class Unscored:
    """A case without any reference standard: recorded, never given a number."""

    dataset: str
    split: str
    patient: str
    case: str
    reason: str


def list_sweep_items(
    volumes_dir: Path,
    splits_csv: Path,
    pseudolabels_dir: Path | None,
    splits: Sequence[str],
    classes: Mapping[str, int],
    min_voxels: int,
    untracked_distance: str,
) -> Iterator[Item | Unscored]:
    """Items of the ultrasound sweeps of `splits`, sorted by patient and sweep, loaded one by one.

    Those of validation patients carry their pseudo-labels, unless `pseudolabels_dir` is None.
    """
    manifest = read_splits(splits_csv)
    for split in splits:
        rows = manifest[manifest["split"] == split].sort_values(["patient", "sweep"])
        for row in rows.to_dict("records"):
            sweep = load_sweep(volumes_dir, row["sweep"])
            pseudo_label = None
            if pseudolabels_dir is not None and split == "val":
                pseudo_label = _read_accepted(pseudolabels_dir, sweep)
            items = _sweep_items(
                sweep, split, row["patient"], classes, min_voxels, untracked_distance, pseudo_label
            )
            if items:
                yield from items
            else:
                yield Unscored("us", split, row["patient"], row["sweep"], NO_REFERENCE)


def list_general_items(
    name: str, folder: Path, job: Any, preprocessing: Preprocessing = "ours"
) -> Iterator[Item]:
    """Items of a general-domain set: its test part, and validation patients if `evaluate.splits` asks for them.

    Validation patients are the last ones of its training part, which no base model is trained on
    (`evaluate.general_validation_patients`). At most `max_classes_per_case` objects a case, drawn by seed.

    preprocessing: of the method that is scored; `official` weights get the official grid (docs/official.md).
    """
    settings, reading = job.evaluate, Reading.of(job, preprocessing)
    for split in settings.splits:
        cases = list_cases(folder, "Ts" if split == "test" else "Tr", reading)
        if split == "val":
            patients = sorted({case.patient for case in cases})
            wanted = set(patients[max(0, len(patients) - settings.general_validation_patients) :])
            cases = [case for case in cases if case.patient in wanted]
        for case in cases:
            yield from _general_items(name, case, split, job)


def _general_items(name: str, case: Case, split: str, job: Any) -> Iterator[Item]:
    settings = job.evaluate
    image, label, spacing, _ = load_case(case)
    structures = case.structures
    sizes = np.bincount(label.ravel(), minlength=256)
    present = [
        key for key in sorted(structures) if sizes[list(structures[key])].sum() >= settings.min_target_voxels
    ]
    random = rng(job.seed, "evaluate", "structures", name, case.id)
    for chosen in sorted(random.permutation(len(present))[: settings.max_classes_per_case].tolist()):
        structure = present[chosen]
        yield Item(
            dataset=name,
            split=split,
            patient=case.patient,
            case=case.id,
            name=structure,
            image=image,
            truth=np.isin(label, structures[structure]),
            known=None,
            reference="label",
            held_out=None,
            distance=Distance("mm", spacing),
        )


def _sweep_items(
    sweep: Sweep,
    split: str,
    patient: str,
    classes: Mapping[str, int],
    min_voxels: int,
    untracked: str,
    pseudo_label: tuple[np.ndarray, np.ndarray] | None,
) -> list[Item]:
    annotated = np.array([entry["index"] for entry in sweep.sidecar["key_frames"]], dtype=int)
    if sweep.reference is None and annotated.size == 0:
        return []
    frames = np.array(sweep.key_frame_indices("held_out"), dtype=int)
    labels, known = sweep.reference, None
    if labels is None:
        labels = sweep.key_frames
        known = labels != UNANNOTATED
    items = []
    for name, value in classes.items():
        truth = labels == value
        if truth.sum() >= min_voxels:
            items.append(
                Item(
                    dataset="us",
                    split=split,
                    patient=patient,
                    case=sweep.id,
                    name=name,
                    image=sweep.image,
                    truth=truth,
                    known=known,
                    reference=None if sweep.reference is None else "true_mask",
                    held_out=FrameMasks(frames, sweep.key_frames[frames] == value) if frames.size else None,
                    distance=choose_distance(sweep.spacing_mm, untracked),
                    key_frames=sweep.key_frames,
                    pseudo_label=_choose_class(pseudo_label, value),
                )
            )
    return items


def _read_accepted(pseudolabels_dir: Path, sweep: Sweep) -> tuple[np.ndarray, np.ndarray]:
    """Frames (n,) that the gate accepted, and their pseudo-labels (n, h, w); empty for a rejected sweep."""
    if not (Path(pseudolabels_dir) / f"{sweep.id}.nii.gz").is_file():
        return np.empty(0, dtype=int), np.empty((0, *sweep.image.shape[1:]), dtype=np.uint8)
    label = load_pseudolabel(pseudolabels_dir, sweep.id, sweep.image.shape)
    frames = np.flatnonzero((label != UNANNOTATED).any((1, 2)))
    return frames, label[frames]


def _choose_class(labelled: tuple[np.ndarray, np.ndarray] | None, value: int) -> FrameMasks | None:
    return None if labelled is None else FrameMasks(labelled[0], labelled[1] == value)


def choose_distance(spacing_mm: Sequence[float | None], untracked: str) -> Distance:
    """Millimetres where all axes have them; else as `untracked` says, never with an invented spacing."""
    d, h, w = spacing_mm
    if d is not None and h is not None and w is not None:
        return Distance("mm", (d, h, w))
    if untracked == "mm_in_plane" and h is not None and w is not None:
        return Distance("mm_in_plane", (1.0, h, w))
    return Distance("voxel", (1.0, 1.0, 1.0))
