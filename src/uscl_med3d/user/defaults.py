"""Values of a parameter file for verbs that run outside the pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.ingest import Fan


def read_fan(file: Path) -> Fan:
    """`ingest.fan` of a parameter file: how the ultrasound image region is found. Raises `InputError`."""
    return Fan.model_validate(read_params(file)["ingest"]["fan"])


def read_params(*files: Path) -> dict[str, Any]:
    """Values of a parameter file with those of overlays, section by section."""
    import yaml

    merged: dict[str, Any] = {}
    for file in files:
        try:
            values = yaml.safe_load(file.read_text(encoding="utf-8"))
            for section, value in values.items():
                known = merged.get(section)
                merged[section] = (
                    known | value if isinstance(known, dict) and isinstance(value, dict) else value
                )
        except (OSError, yaml.YAMLError, AttributeError) as error:
            raise InputError(
                file=file,
                found=f"{type(error).__name__}: {error}",
                expected="a parameter file",
                remedy="run from the repository's folder, or name the file by --params-file",
            ) from None
    return merged
