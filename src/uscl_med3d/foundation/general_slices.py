"""Training slices of the general-domain sets, for 2D networks that learn from CT and MR."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.foundation.sam_med2d import SliceSampling
from uscl_med3d.core.seeds import rng
from uscl_med3d.data.general import Case, Reading, hash_case, list_cases, load_case
from uscl_med3d.foundation.slice_clicks import SliceBatch
from uscl_med3d.methods.slicewise import grey_to_rgb
from uscl_med3d.nets.sam.frame import PIXEL_MEAN

HELD_OUT_BATCH = 6  # slices


class Example(NamedTuple):
    """A slice (`number` along the first axis) of a case, and the structure that it was drawn for."""

    case: str
    structure: str
    number: int


class GeneralSlices:
    """Slices along the first axis of all general-domain sets, fitted to the network's square.

    Every step draws new slices: first a set, then a structure of that set, then a slice that shows it. A few
    patients are kept apart for validation.

    Args:
        general_dirs: set name -> folder. reading: how the folders are read. sampling: which slices and objects.
        image_size: side of the square. pads_small: see `SquareFrame`. seed, stage: of the random streams.

    Attributes:
        files: SHA-256 of every image and label, for fingerprints.

    Raises:
        InputError: for sets without any target.
    """

    def __init__(
        self,
        general_dirs: Mapping[str, Path],
        reading: Reading,
        sampling: SliceSampling,
        image_size: int,
        pads_small: bool,
        seed: int,
        stage: str,
    ) -> None:
        self.sampling, self.image_size, self.pads_small = sampling, image_size, pads_small
        self.seed, self.stage = seed, stage
        self.cases: dict[str, Case] = {}
        self._load = lru_cache(maxsize=sampling.cached_cases)(self._read)
        self.training_examples: dict[str, dict[str, list[Example]]] = {}
        self.held_out_examples: dict[str, dict[str, list[Example]]] = {}
        for name, folder in sorted(general_dirs.items()):
            cases = list_cases(folder, "Tr", reading)
            patients = sorted({case.patient for case in cases})
            kept = set(patients[max(1, len(patients) - sampling.validation_patients) :])
            for case in cases:
                self.cases[f"{name}/{case.id}"] = case
                part = self.held_out_examples if case.patient in kept else self.training_examples
                self._list_examples(f"{name}/{case.id}", part.setdefault(name, {}))
        self.files = {key: hash_case(case) for key, case in self.cases.items()}
        if not any(self.training_examples.values()):
            raise InputError(
                file=", ".join(map(str, general_dirs.values())),
                found="no labelled structure to train on",
                expected=f"slices with at least {sampling.min_target_pixels} pixels of a structure",
                remedy=f"add labelled training volumes, or set {stage.replace('_', '.', 1)}.weights to a checkpoint",
            )

    def draw(self, count: int, objects: int, *names: str | int) -> SliceBatch:
        """`count` slices of training patients with at most `objects` objects each; `names` of the random stream."""
        random = rng(self.seed, self.stage, *names)
        return self._draw(self.training_examples, count, objects, random, self.sampling.flip_probability)

    def draw_held_out(self, count: int, objects: int) -> list[SliceBatch]:
        """At least `count` slices of the validation patients, always the same ones; none without such patients."""
        if not any(self.held_out_examples.values()):
            return []
        return [
            self._draw(
                self.held_out_examples,
                HELD_OUT_BATCH,
                objects,
                rng(self.seed, self.stage, "held_out", index),
                0.0,
            )
            for index in range(-(-count // HELD_OUT_BATCH))
        ]

    def _draw(
        self,
        examples: dict[str, dict[str, list[Example]]],
        count: int,
        objects: int,
        random: np.random.Generator,
        flip: float,
    ) -> SliceBatch:
        images, truth, owner = [], [], []
        names = sorted(name for name, structures in examples.items() if structures)
        for place in range(count):
            structures = examples[names[int(random.integers(len(names)))]]
            chosen = sorted(structures)[int(random.integers(len(structures)))]
            example = structures[chosen][int(random.integers(len(structures[chosen])))]
            image, masks = self._cut(example, objects, random)
            axes = [axis for axis in (-2, -1) if random.random() < flip]
            images.append(image.flip(axes))
            truth.append(masks.flip(axes))
            owner += [place] * len(masks)
        return SliceBatch(torch.stack(images), torch.cat(truth), torch.tensor(owner))

    def _cut(self, example: Example, objects: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Image (3, s, s) in 0..255 and masks (m, s, s) of the example's structure and of some others."""
        image, label = self._load(example.case)
        structures, shown = self.cases[example.case].structures, label[example.number]
        others = [name for name in sorted(structures) if name != example.structure]
        masks = [np.isin(shown, structures[example.structure])]
        for name in random.permutation(others):
            mask = np.isin(shown, structures[str(name)])
            if len(masks) < objects and mask.sum() >= self.sampling.min_target_pixels:
                masks.append(mask)
        grey = torch.from_numpy(image[example.number]).float()
        placed = [
            fit_square(mask[None].float(), self.image_size, self.pads_small, (0.0,))
            for mask in torch.from_numpy(np.stack(masks))
        ]
        rgb = fit_square(grey.expand(3, -1, -1), self.image_size, self.pads_small, PIXEL_MEAN)
        return rgb, torch.cat([placed[0], *(mask for mask in placed[1:] if mask.any())]) > 0

    def _list_examples(self, key: str, found: dict[str, list[Example]]) -> None:
        label = self._load(key)[1]
        for name, values in self.cases[key].structures.items():
            sizes = np.isin(label, values).sum((1, 2))
            indices = np.flatnonzero(sizes >= self.sampling.min_target_pixels)
            if indices.size:
                found.setdefault(name, []).extend(Example(key, name, int(index)) for index in indices)

    def _read(self, key: str) -> tuple[np.ndarray, np.ndarray]:
        """Grey values (d, h, w) of 0..255 as a method prepares them, and labels."""
        image, label, _, _ = load_case(self.cases[key])
        grey = grey_to_rgb(torch.from_numpy(image), self.sampling.percentiles)[:, 0]
        return grey.to(torch.uint8).numpy(), label


def fit_square(planes: Tensor, side: int, pads_small: bool, fill: tuple[float, ...]) -> Tensor:
    """(c, h, w) -> (c, side, side) as `SquareFrame` does, before normalisation.

    Padding gets `fill`, one value per plane: the mean of an image channel becomes zero when it is normalised.
    """
    height, width = planes.shape[1:]
    if not pads_small or max(height, width) >= side:
        return F.interpolate(planes[None], size=(side, side), mode="nearest")[0]
    top, left = (side - height) // 2, (side - width) // 2
    square = planes.new_tensor(fill).reshape(-1, 1, 1).repeat(1, side, side)
    square[:, top : top + height, left : left + width] = planes
    return square
