"""Preflight: is everything that the run needs from outside in place? Asked before any work."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from uscl_med3d.core import shipped
from uscl_med3d.core.errors import InputError, InputErrors
from uscl_med3d.core.foundations import list_needed
from uscl_med3d.core.io import sha256
from uscl_med3d.core.listing import list_cohort
from uscl_med3d.core.params.base_model import Weights
from uscl_med3d.core.params.foundation import BASE_MODELS
from uscl_med3d.data.cohort import CohortRow, read_cohort
from uscl_med3d.data.failures import find_gaps, plan_splits
from uscl_med3d.data.general import LAYOUTS, find_problems
from uscl_med3d.data.privacy import warn as warn_of_git

HUB_FILES = ("model.safetensors", "pytorch_model.bin")  # names inside a folder in the layout of a model hub
WITH_CONFIG = ("seggpt",)  # base models whose architecture is in a config.json beside the weights


def check(job: Any) -> None:
    """Raise one `InputErrors` that lists every missing or wrong external file and what to put where.

    Paths are relative to the working directory, those inside cohort.csv to cohort.csv. With
    `ingest.bad_sweeps: leave_out` a sweep without its files is no error as long as the others are enough; it is
    named on standard error.
    """
    errors = _check_device(job.device)
    base_models = {name: getattr(job.foundation, name) for name in BASE_MODELS}
    for name in list_needed(job.methods, {name: model.weights for name, model in base_models.items()}):
        errors += _check_weights(name, base_models[name])
    if job.cohort != "simulate":
        errors += _check_cohort(Path(job.cohort), job)
        if told := warn_of_git(_list_own(Path(job.cohort), Path("results", job.scale))):
            print(told, file=sys.stderr)
    for name, folder in job.general.items():
        if folder != "simulate":
            errors += _check_general(name, Path(folder))
    if errors:
        raise InputErrors(
            errors,
            file=f"scale {job.scale!r}",
            remedy="put everything listed above in place, then run the same command; nothing was started",
        )


def _list_own(cohort: Path, results: Path) -> list[Path]:
    """The table, the clips and masks beside it, and the results: what says something about patients."""
    named = [path for path in list_cohort(cohort) if path != cohort]
    beside = [path for path in named if cohort.parent.resolve() in path.resolve().parents]
    return [cohort, *beside, results]


def _check_device(device: str) -> list[InputError]:
    if device != "cuda":
        return []
    import torch

    if torch.cuda.is_available():
        return []
    return [
        InputError(
            file="parameter device",
            found="cuda, but PyTorch sees no CUDA device",
            expected="a CUDA device",
            remedy="run on a machine with a GPU and a CUDA build of PyTorch, or set device: cpu",
        )
    ]


def _check_weights(name: str, weights: Weights) -> list[InputError]:
    if weights.weights == shipped.TRAIN:
        return []
    if weights.weights == shipped.SHIPPED:
        try:
            shipped.check(name)
        except InputError as error:
            return [error]
        return []
    place = Path(weights.weights)
    expected = f"the checkpoint of {name}" + (f" with SHA-256 {weights.sha256}" if weights.sha256 else "")
    remedy = f"download it from {weights.source} and save it as {place}"
    file = place
    if place.is_dir():
        inside = next((place / known for known in HUB_FILES if (place / known).is_file()), None)
        if inside is None:
            found = f"a folder without {' or '.join(HUB_FILES)}"
            return [InputError(file=place, found=found, expected=expected, remedy=remedy)]
        file = inside
    if not file.is_file():
        return [InputError(file=file, found="no such file", expected=expected, remedy=remedy)]
    errors = []
    if name in WITH_CONFIG and not (file.parent / "config.json").is_file():
        config = file.parent / "config.json"
        errors.append(
            InputError(file=config, found="no such file", expected=f"config.json of {name}", remedy=remedy)
        )
    if weights.sha256:
        found = sha256(file)
        if found != weights.sha256.lower():
            errors.append(InputError(file=file, found=f"SHA-256 {found}", expected=expected, remedy=remedy))
    return errors


def _check_cohort(path: Path, job: Any) -> list[InputError]:
    if not path.is_file():
        return [
            InputError(
                file=path,
                found="no such file",
                expected="the cohort table",
                remedy="write it as in docs/own_cohort.md",
            )
        ]
    try:
        rows, errors = read_cohort(path)
    except InputError as error:
        return [error]
    missing = {row.sweep: _list_missing(row, path) for row in rows}
    failed = {sweep: found for sweep, found in missing.items() if found}
    if failed and not errors and job.ingest.bad_sweeps == "leave_out":
        manifest = plan_splits(rows, job.ingest, job.seed)
        errors = find_gaps(rows, manifest, failed, path)
        if not errors:
            _warn(failed, len(rows))
            return []
    return errors + [error for found in failed.values() for error in found]


def _list_missing(row: CohortRow, table: Path) -> list[InputError]:
    """Files of a sweep that are not there; a clip (DICOM series) and annotations may be a folder."""
    named = [
        ("video", row.video, "the clip"),
        ("key_frames", row.key_frames, "the annotated key frames"),
        ("reference", row.reference, "the reference label map"),
        ("corrections", row.corrections, "the corrected frames"),
    ]
    return [
        InputError(
            file=file,
            found="missing",
            expected=f"{what} of sweep {row.sweep} ({table}, line {row.line})",
            remedy=f"put it there, or correct the column {column}",
        )
        for column, file, what in named
        if file is not None and not (file.is_file() if column == "reference" else file.exists())
    ]


def _warn(failed: dict[str, list[InputError]], sweeps: int) -> None:
    listing = "\n".join(f"- {error}" for found in failed.values() for error in found)
    print(
        f"warning: {len(failed)} of {sweeps} sweeps lack files and will be left out: {', '.join(sorted(failed))}\n"
        f"{listing}\nThe run goes on without them and ends with an error; ingest.bad_sweeps: stop would stop here.",
        file=sys.stderr,
    )


def _check_general(name: str, folder: Path) -> list[InputError]:
    if folder.is_dir():
        return find_problems(folder)
    known = "; ".join(f"{layout} ({module.EXPECTED})" for layout, module in LAYOUTS.items())
    return [
        InputError(
            file=folder,
            found="no such folder",
            expected=f"the set {name} in one of these layouts: {known}",
            remedy=f"put the set there, or set general.{name} to its folder, or to `simulate`",
        )
    ]
