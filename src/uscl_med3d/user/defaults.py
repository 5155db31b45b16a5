"""Values of a parameter file for verbs that run outside the pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.files import overlay
from uscl_med3d.core.params.ingest import Fan

FOLDER = Path(__file__).resolve().parents[1] / "defaults"
"""Copies of parameter files that are used where the working folder has none: outside a checkout."""


def read_fan(file: Path) -> Fan:
    """`ingest.fan` of a parameter file: how the ultrasound image region is found. Raises `InputError`."""
    return Fan.model_validate(read_params(file)["ingest"]["fan"])


def read_params(*files: Path) -> dict[str, Any]:
    """Values of a parameter file with those of overlays.

    A file that is not there is taken from the package, if the package has one of this name. Raises `InputError`.
    """
    import yaml

    merged: dict[str, Any] = {}
    for named in files:
        packaged = FOLDER / ("params" if named.parent.name == "params" else "") / named.name
        file = named if named.is_file() or not packaged.is_file() else packaged
        try:
            values = yaml.safe_load(file.read_text(encoding="utf-8"))
            merged = overlay(merged, values)
        except (OSError, yaml.YAMLError, AttributeError) as error:
            raise InputError(
                file=file,
                found=f"{type(error).__name__}: {error}",
                expected="a parameter file",
                remedy="run from the repository's folder, or name the file by --params-file",
            ) from None
    return merged
