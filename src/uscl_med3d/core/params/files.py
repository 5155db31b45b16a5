"""Where the default values are written: params.yaml, params/*.yaml of one tree, params/foundation/<base model>.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from uscl_med3d.core.errors import InputError

WHOLE = ("classes",)
"""Sections that an overlay replaces as a whole: the classes of a cohort are not added to those of another."""


def list_default_files(root: Path) -> list[Path]:
    """The files that make up the default values, in the order in which they are read.

    The first one has the methods in the order of rows in tables; params.yaml fills those that it leaves empty.
    """
    folder = root / "params"
    recipes = sorted((folder / "foundation").glob("*.yaml"))
    targets = [folder / f"{name}.yaml" for name in ("ssl", "stills")]
    return [folder / "methods.yaml", root / "params.yaml", folder / "simulate.yaml", *recipes, *targets]


def read_defaults(root: Path) -> dict[str, Any]:
    """The default values as one tree, not yet validated.

    Args:
        root: the folder of params.yaml.

    Raises:
        InputError: for a file that is missing or is no YAML.
    """
    values: dict[str, Any] = {}
    for file in list_default_files(root):
        values = overlay(values, _read(file))
    return values


def find_sections(root: Path) -> dict[str, list[str]]:
    """Section -> the files that hold it, relative to the folder of params.yaml and in the order in which they are read.

    Raises:
        InputError: for a file that is missing or is no YAML.
    """
    found: dict[str, list[str]] = {}
    for file in list_default_files(root):
        for section in _read(file):
            found.setdefault(section, []).append(file.relative_to(root).as_posix())
    return found


def overlay(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of nested dictionaries with single values replaced, and `WHOLE` sections, as an overlay of a scale does."""
    result = deepcopy(dict(values))
    for key, change in changes.items():
        both = isinstance(change, Mapping) and isinstance(result.get(key), Mapping) and key not in WHOLE
        result[key] = overlay(result[key], change) if both else deepcopy(change)
    return result


def replace_whole(config: dict[str, Any], overlays: Iterable[Path]) -> None:
    """Undo in `config` that sections of `WHOLE` were merged value by value, which is all that Snakemake knows; in place.

    Args:
        config: the merged values. overlays: the files of `--configfile`, the last one wins.
    """
    for file in overlays:
        found = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
        if isinstance(found, Mapping):
            config.update({key: dict(found[key]) for key in WHOLE if isinstance(found.get(key), Mapping)})


def _read(file: Path) -> dict[str, Any]:
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise InputError(
            file=file, found=str(error), expected="a YAML file of parameters", remedy="correct the file"
        ) from None
