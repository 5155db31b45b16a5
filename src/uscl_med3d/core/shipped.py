"""Weights of the base models that come with the program: `<model>.safetensors`, its card (.json) and its learning curve."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json, sha256

FOLDER = Path(__file__).resolve().parents[1] / "shipped"
SHIPPED, TRAIN = "shipped", "train"
"""Values of `foundation.<model>.weights` beside the path of a file."""
REPAIR = "install the program again, or set foundation.{model}.weights to `train`"


class Files(NamedTuple):
    """Weights, card and learning curve of one shipped model."""

    weights: Path
    card: Path
    curve: Path


def list_files(model: str) -> Files:
    """Where the files of a shipped model are, whether they are there or not; relative inside the working directory."""
    folder = FOLDER.relative_to(Path.cwd()) if FOLDER.is_relative_to(Path.cwd()) else FOLDER
    return Files(folder / f"{model}.safetensors", folder / f"{model}.json", folder / f"{model}_curve.csv")


def check(model: str) -> dict[str, Any]:
    """The card of a shipped model, whose weights are there and the right ones.

    Raises:
        InputError: for a missing file, or weights with another SHA-256 than the card's.
    """
    files = list_files(model)
    for file in files:
        if not file.is_file():
            raise InputError(
                file=file,
                found="no such file",
                expected=f"a file of the shipped base model {model}",
                remedy=REPAIR.format(model=model),
            )
    card: dict[str, Any] = read_json(files.card)
    found = sha256(files.weights)
    if found != card["sha256"]:
        raise InputError(
            file=files.weights,
            found=f"SHA-256 {found}",
            expected=f"SHA-256 {card['sha256']} ({files.card.name})",
            remedy=REPAIR.format(model=model),
        )
    return card


def describe_network(job: Any, model: str) -> dict[str, Any]:
    """What of a job's values the weights must have been trained for: architecture, and how clicks are given."""
    settings = getattr(job, model)
    found = {name: getattr(job, name, None) for name in ("model", "prompts")}
    found["architecture"] = getattr(settings, "architecture", None)
    return {name: value.model_dump(mode="json") for name, value in found.items() if value is not None}


def check_fit(model: str, card: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise `InputError` if shipped weights are of another architecture than the parameters describe."""
    shipped = card["network"]
    different = [
        (f"{part}.{key}", value, shipped.get(part, {}).get(key))
        for part, values in wanted.items()
        for key, value in values.items()
        if value != shipped.get(part, {}).get(key)
    ]
    if different:
        raise InputError(
            file=f"parameters of the base model {model}",
            found="; ".join(f"{name}: {value}" for name, value, _ in different),
            expected="; ".join(f"{name}: {value}" for name, _, value in different)
            + " (those of the shipped weights)",
            remedy=f"set foundation.{model}.weights to `train` (and those of its teacher), or give the values as expected",
        )


def hash_recipe(job: Mapping[str, Any]) -> str:
    """SHA-256 of a training's job file: everything that its weights depend on, beside data and code.

    `numerics` is left out: the choice of kernels is no part of a recipe, it only changes the last digits.
    """
    learned = {name: value for name, value in job.items() if name != "numerics"}
    return hashlib.sha256(json.dumps(learned, sort_keys=True).encode()).hexdigest()
