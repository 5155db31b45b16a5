"""Training crops of the general-domain sets, shared by the base models that learn from CT and MR."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.crops import BaseCrops
from uscl_med3d.data.general import Case, Reading, hash_case, list_cases, load_case
from uscl_med3d.methods.base import ClickMethod
from uscl_med3d.train.crops import Batch, CropReference, CropSource, draw_balanced
from uscl_med3d.train.validation import choose_validation_crops, validate


class GeneralCrops:
    """Training volumes of all general-domain sets; a few of their patients are kept apart for validation.

    Every step draws new crops: first a set, then a structure of that set, then a case, then a voxel.

    Args:
        general_dirs: set name -> folder. reading: how the folders are read.
        size: side of a crop.
        sampling: which crops, and how they are measured.
        seed, stage: of the random streams.

    Attributes:
        files: SHA-256 of every image and label, for fingerprints.

    Raises:
        InputError: for sets without any target.
    """

    def __init__(
        self,
        general_dirs: Mapping[str, Path],
        reading: Reading,
        size: int,
        sampling: BaseCrops,
        seed: int,
        stage: str,
    ) -> None:
        self.sampling, self.seed, self.stage = sampling, seed, stage
        self.cases: dict[str, Case] = {}
        training: list[str] = []
        held_back: list[str] = []
        for name, folder in sorted(general_dirs.items()):
            cases = list_cases(folder, "Tr", reading)
            patients = sorted({case.patient for case in cases})
            kept = set(patients[max(1, len(patients) - sampling.validation_patients) :])
            for case in cases:
                key = f"{name}/{case.id}"
                self.cases[key] = case
                (held_back if case.patient in kept else training).append(key)
        self.files = {key: hash_case(case) for key, case in self.cases.items()}
        self.source = CropSource(self._load, size, sampling.cached_cases)
        self.targets = self.source.find_targets(training, None, sampling.min_target_voxels)
        if not self.targets:
            raise InputError(
                file=", ".join(map(str, general_dirs.values())),
                found="no labelled structure to train on",
                expected=f"labels of at least {sampling.min_target_voxels} voxels in imagesTr/labelsTr",
                remedy=f"add labelled training volumes, or set {stage.replace('_', '.', 1)}.weights to a checkpoint",
            )
        # set -> structure -> indices of targets
        self.sets: dict[str, dict[str, list[int]]] = {}
        for index, target in enumerate(self.targets):
            group = self.sets.setdefault(target.case.split("/")[0], {})
            group.setdefault(target.name, []).append(index)
        held = self.source.find_targets(held_back, None, sampling.min_target_voxels)
        self.validation_crops = choose_validation_crops(
            self.source, held, sampling.validation_targets, seed, stage
        )

    def draw_references(self, count: int, random: np.random.Generator) -> list[CropReference]:
        """`count` crops: first a set, then a structure of that set, then a case, then a voxel."""
        names = sorted(self.sets)
        chosen = []
        for _ in range(count):
            chosen += draw_balanced(self.sets[names[int(random.integers(len(names)))]], 1, random)
        return [self.source.draw_crop(self.targets[index], random) for index in chosen]

    def validate(self, method: ClickMethod, clicks: int, other_image: bool) -> float:
        """Mean Dice (0..100) of the validation crops after `clicks` clicks; `other_image` as in `train.validation`."""
        return validate(
            method,
            self.source,
            self.validation_crops,
            clicks=clicks,
            simulator=self.sampling.click_simulator,
            seeds=(self.seed, self.stage),
            other_image=other_image,
        )

    def validate_clicks(self, method: ClickMethod) -> dict[str, float]:
        """Dice (0..100) of validation crops after the first and the last click; also with another crop's image."""
        found = {}
        for name, clicks in (("first", 1), ("last", self.sampling.validation_clicks)):
            found[f"{name}_click_dice"] = self.validate(method, clicks, other_image=False)
            found[f"{name}_click_other_image"] = self.validate(method, clicks, other_image=True)
        return found

    def _load(self, key: str) -> tuple[np.ndarray, np.ndarray]:
        image, label, _, _ = load_case(self.cases[key])
        return image, label


def flip_labels(
    image: np.ndarray, label: np.ndarray, probability: float, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Mirror an image and its label map (d, h, w) along each axis with `probability`."""
    axes = tuple(axis for axis in range(3) if random.random() < probability)
    return np.flip(image, axes).copy(), np.flip(label, axes).copy()


def flip(batch: Batch, probability: float, random: np.random.Generator) -> Batch:
    """Mirror each example along each axis with `probability`, clicks included."""
    images, truth, clicks = batch.images.copy(), batch.truth.copy(), batch.first_clicks.copy()
    last = images.shape[-1] - 1
    for index in range(images.shape[0]):
        for axis in range(3):
            if random.random() < probability:
                images[index] = np.flip(images[index], axis + 1)
                truth[index] = np.flip(truth[index], axis + 1)
                clicks[index, axis] = last - clicks[index, axis]
    return Batch(images, truth, clicks)
