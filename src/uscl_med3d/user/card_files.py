"""The cards of models that come with the package, whatever they work on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from uscl_med3d.core.io import read_json

LICENCE = "Apache-2.0"
"""Of weights that were trained here."""


def read_cards(folder: Path) -> dict[str, dict[str, Any]]:
    """Cards by the name of the model, sorted; weights without a card beside them are left out."""
    files = sorted(folder.glob("*.safetensors"))
    return {
        file.stem: read_json(file.with_suffix(".json"))
        for file in files
        if file.with_suffix(".json").is_file()
    }
