"""What every layout of general-domain sets provides, and the arguments that it gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.seeds import rng

PARTS = ("Tr", "Ts")
Preprocessing = Literal["ours", "official"]


@dataclass(frozen=True)
class Reading:
    """How a set is read.

    spacing_mm: isotropic spacing that volumes are resampled to; None: the grid they are stored on.
    preprocessing: `ours`, or `official`: as official SAM-Med3D resamples (docs/general_sets.md); it needs a spacing.
    modalities: of a set that mixes `ct` and `mr`, those that are read.
    test_fraction: of the patients, where the publisher gives no split; None: such a set cannot be read.
    seed: draws that split.
    """

    spacing_mm: float | None
    modalities: tuple[str, ...]
    test_fraction: float | None
    seed: int
    preprocessing: Preprocessing = "ours"

    @classmethod
    def of(cls, job: Any, preprocessing: Preprocessing = "ours") -> Reading:
        """From a job with the fields `general_reading` and `seed`.

        preprocessing: of the base model that is fed.
        """
        return cls(**job.general_reading.model_dump(), seed=job.seed, preprocessing=preprocessing)


# Every volume as it is stored, and a publisher's own split only.
AS_STORED = Reading(spacing_mm=None, modalities=("ct", "mr"), test_fraction=None, seed=0)


@dataclass(frozen=True)
class Case:
    """One image of a set. Each contrast of a patient is a case of its own, with the same label.

    label: a label map, or a folder with one mask per structure (<name>.nii.gz for each of `names`).
    names: label name -> value in the label map.
    regions: name -> values that make it up together. Where a set defines regions, they are what is scored.
    spacing_mm: isotropic spacing that the case is resampled to when it is loaded; None: as stored.
    preprocessing: how, see `Reading`.
    """

    id: str
    patient: str
    image: Path
    label: Path
    names: dict[str, int]
    regions: dict[str, tuple[int, ...]] = field(default_factory=dict)
    spacing_mm: float | None = None
    preprocessing: Preprocessing = "ours"

    @property
    def structures(self) -> dict[str, tuple[int, ...]]:
        """What is scored: name -> label values."""
        return self.regions or {name: (value,) for name, value in self.names.items()}


class Layout(Protocol):
    """A module of this package that reads one published folder layout."""

    EXPECTED: str

    def matches(self, folder: Path) -> bool:
        """Whether the folder's content looks like this layout, complete or not."""
        ...

    def find_problems(self, folder: Path) -> list[InputError]:
        """What is missing or wrong, without reading any volume."""
        ...

    def list_cases(self, folder: Path, part: str, reading: Reading) -> list[Case]:
        """Cases of `Tr` (to train on) or `Ts` (to score), in any order; `spacing_mm` is set by the caller."""
        ...

    def read_names(self, folder: Path) -> dict[str, int]:
        """Label name -> value, without background."""
        ...


def draw_split(patients: list[str], part: str, name: str, reading: Reading, folder: Path) -> set[str]:
    """Patients of one part, where the publisher gives no split.

    Each patient draws a number from a stream of its own; those with the smallest numbers are the test part. So
    a patient more or less moves at most one other patient across.
    """
    if reading.test_fraction is None:
        raise InputError(
            file=folder,
            found=f"a set without a published split ({name})",
            expected="the share of patients that are kept for testing",
            remedy="give general_reading.test_fraction in the parameters",
        )
    unique = sorted(set(patients))
    if len(unique) < 2:
        raise InputError(
            file=folder,
            found=f"{len(unique)} patient(s)",
            expected="at least one patient to train on and one to test on",
            remedy="put the whole set there",
        )
    ordered = sorted(
        unique, key=lambda patient: rng(reading.seed, "general", "split", name, patient).random()
    )
    count = min(max(1, round(len(unique) * reading.test_fraction)), len(unique) - 1)
    return set(ordered[:count] if part == "Ts" else ordered[count:])


def missing_folders(folder: Path, names: tuple[str, ...], layout: str, expected: str) -> list[InputError]:
    """One error that lists the subfolders that are not there; nothing if all are."""
    missing = [name for name in names if not (folder / name).is_dir()]
    if not missing:
        return []
    return [
        InputError(
            file=folder,
            found=f"no {', '.join(missing)}",
            expected=f"{layout}: {expected}",
            remedy="put the whole set there, or correct its folder under `general` in the parameters",
        )
    ]


def collect(*checks: Any) -> list[InputError]:
    """Errors of several checks, each a function without arguments that may raise."""
    errors = []
    for check in checks:
        try:
            check()
        except InputError as error:
            errors.append(error)
    return errors


def label_of(place: Path, image: Path) -> Path:
    """`place`, if it is there; else an error that names the image it belongs to."""
    if place.is_file() or place.is_dir():
        return place
    raise InputError(
        file=place,
        found="no such file",
        expected=f"the label map of {image.name}",
        remedy="put the label map there, or move the image out of the folder",
    )


def parse_names(labels: Any, file: Path) -> tuple[dict[str, int], dict[str, tuple[int, ...]]]:
    """(names, regions) of the `labels` of a dataset.json; both published key orders, and nnU-Net's regions."""
    try:
        names: dict[str, int] = {}
        regions: dict[str, tuple[int, ...]] = {}
        if not isinstance(labels, Mapping):
            raise TypeError
        for key, value in labels.items():
            if isinstance(value, list | tuple):
                regions[str(key)] = tuple(int(one) for one in value)
                continue
            name, number = (value, int(key)) if str(key).isdigit() else (key, int(value))
            if number:
                names[str(name)] = number
        if regions:  # single labels beside regions are regions of one value
            regions = {name: (number,) for name, number in names.items()} | regions
        names |= {f"label_{n}": n for values in regions.values() for n in values if n not in names.values()}
        if not names:
            raise ValueError
        return names, regions
    except (TypeError, ValueError) as error:
        raise InputError(
            file=file,
            found=f"labels: {labels!r:.200}",
            expected='"labels": {"background": 0, "liver": 1, ...}',
            remedy="write dataset.json as nnU-Net defines it",
        ) from error
