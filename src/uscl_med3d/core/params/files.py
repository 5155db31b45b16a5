"""Where the default values are written: params.yaml, and one file a base model in params/foundation/."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from uscl_med3d.core.errors import InputError


def list_default_files(root: Path) -> list[Path]:
    """The files that make up the default values, in the order in which they are read."""
    return [root / "params.yaml", *sorted((root / "params" / "foundation").glob("*.yaml"))]


def read_defaults(root: Path) -> dict[str, Any]:
    """The default values as one tree, not yet validated.

    Args:
        root: the folder of params.yaml.

    Raises:
        InputError: for a file that is missing or is no YAML.
    """
    values: dict[str, Any] = {}
    for file in list_default_files(root):
        try:
            found = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise InputError(
                file=file, found=str(error), expected="a YAML file of parameters", remedy="correct the file"
            ) from None
        values = overlay(values, found or {})
    return values


def overlay(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of nested dictionaries with single values replaced, as an overlay of `workflow/scales/` does."""
    result = deepcopy(dict(values))
    for key, change in changes.items():
        both = isinstance(change, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = overlay(result[key], change) if both else deepcopy(change)
    return result
