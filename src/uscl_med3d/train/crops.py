"""Which crops a model is trained on: a fixed, seeded list of (case, class, voxel), and their cutting.

A training crop is placed as the evaluation places its first-click crop, around a voxel of the target, and
that voxel is also the first click. The list depends on the seeds and the labels only, so all runs see the
same crops in the same order and can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from uscl_med3d.clicks.crops import Origin, centre_crop_on, cut, to_crop
from uscl_med3d.core.seeds import rng

IGNORE = 255
LoadCase = Callable[[str], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Target:
    """One object to be segmented in one case: a class name and its value in the label map."""

    case: str
    name: str
    value: int


@dataclass(frozen=True)
class CropReference:
    """One training example: the crop around `voxel` (d, h, w) of a target."""

    target: Target
    voxel: tuple[int, int, int]


@dataclass(frozen=True)
class Batch:
    """Examples cut out and stacked.

    Attributes:
        images: (b, 1, s, s, s) float32 raw intensities.
        truth: (b, 1, s, s, s) uint8; 1 object, 0 other, 255 ignored.
        first_clicks: (b, 3) voxel indices in the crop.
    """

    images: np.ndarray
    truth: np.ndarray
    first_clicks: np.ndarray


class CropSource:
    """Cuts crops out of cases, keeping the last `cached_cases` in memory.

    Args:
        load: case name -> image (d, h, w) and label map (d, h, w) with 255 where nothing is known.
        size: side of the crop in voxels.
    """

    def __init__(self, load: LoadCase, size: int, cached_cases: int) -> None:
        self.size = size
        self.load = lru_cache(maxsize=cached_cases)(load)

    def find_targets(
        self, cases: Sequence[str], classes: Mapping[str, int] | None, min_voxels: int
    ) -> list[Target]:
        """Classes with at least `min_voxels`, case by case, sorted; without `classes`, every label value."""
        targets = []
        for case in sorted(cases):
            values, counts = np.unique(self.load(case)[1], return_counts=True)
            sizes = dict(zip(values.tolist(), counts.tolist(), strict=True))
            wanted = classes or {str(value): value for value in sizes if value not in (0, IGNORE)}
            targets += [
                Target(case, name, v) for name, v in sorted(wanted.items()) if sizes.get(v, 0) >= min_voxels
            ]
        return targets

    def draw_crop(self, target: Target, random: np.random.Generator) -> CropReference:
        """A crop around a voxel drawn uniformly from the target."""
        label = self.load(target.case)[1]
        candidates = np.flatnonzero(label == target.value)
        voxel = np.unravel_index(candidates[int(random.integers(candidates.size))], label.shape)
        return CropReference(target, (int(voxel[0]), int(voxel[1]), int(voxel[2])))

    def cut_labels(self, reference: CropReference) -> tuple[np.ndarray, np.ndarray, tuple[int, int, int]]:
        """Image float32 and label map uint8 (s, s, s) of one crop, and its voxel in crop indices.

        Voxels outside the volume are zero in the image and 255 in the label map.
        """
        image, label = self.load(reference.target.case)
        origin: Origin = centre_crop_on(reference.voxel, image.shape, self.size)
        return (
            cut(image, origin, self.size, fill=0).astype(np.float32),
            cut(label, origin, self.size, fill=IGNORE),
            to_crop(reference.voxel, origin),
        )

    def cut_batch(self, references: Sequence[CropReference]) -> Batch:
        """Cut and stack; voxels outside a volume are zero in the image and ignored in the truth."""
        images, truths, clicks = [], [], []
        for reference in references:
            image, label, click = self.cut_labels(reference)
            truth = (label == reference.target.value).astype(np.uint8)
            truth[label == IGNORE] = IGNORE
            images.append(image)
            truths.append(truth)
            clicks.append(click)
        return Batch(np.stack(images)[:, None], np.stack(truths)[:, None], np.array(clicks))


def draw_crop_list(
    source: CropSource, targets: Sequence[Target], per_target: int, seed: int, *names: int | str
) -> list[CropReference]:
    """`per_target` crops of every target; each target has its own random stream."""
    crops = []
    for target in targets:
        random = rng(seed, *names, "crops", target.case, target.name)
        crops += [source.draw_crop(target, random) for _ in range(per_target)]
    return crops


def draw_balanced(groups: Mapping[str, Sequence[int]], count: int, random: np.random.Generator) -> list[int]:
    """`count` members, each from a group drawn uniformly: small classes are seen as often as large ones."""
    names = sorted(groups)
    chosen = []
    for _ in range(count):
        members = groups[names[int(random.integers(len(names)))]]
        chosen.append(members[int(random.integers(len(members)))])
    return chosen
