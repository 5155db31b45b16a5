"""What a weights file's card says: how its network is fed. The card is a JSON of the same stem, or metadata in the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import read_json
from uscl_med3d.nets.tensors import read_metadata

Preprocessing = Literal["official", "ours"]
KEY = "preprocessing"
MADE_HERE = ("train", "shipped")  # `weights` of a base model that is none of an official checkpoint


def read_card(weights: Path) -> dict[str, Any]:
    """The JSON of the same stem beside a weights file; empty where there is none."""
    file = weights.with_suffix(".json")
    if not file.is_file():
        return {}
    content = read_json(file)
    return content if isinstance(content, dict) else {}


def read_preprocessing(weights: Path) -> Preprocessing | None:
    """What a file's card says of its preprocessing, or its own metadata; None where nothing says it.

    Raises:
        InputError: for a card that says something else, or a card and metadata that contradict each other.
    """
    card = read_card(weights)
    belongs = read_metadata(weights) if weights.suffix == ".safetensors" and weights.is_file() else {}
    said, inside = card.get(KEY), belongs.get(KEY)
    for value in (said, inside):
        if isinstance(value, str) and value not in ("official", "ours"):
            raise InputError(
                file=weights.with_suffix(".json"),
                found=f"preprocessing {value!r}",
                expected="official or ours",
                remedy="correct the card, or take it from where the weights came from",
            )
    if isinstance(said, str) and isinstance(inside, str) and said != inside:
        raise InputError(
            file=weights.with_suffix(".json"),
            found=f"preprocessing {said}",
            expected=f"{inside}, as the weights say",
            remedy="the card belongs to other weights: put the right one beside them",
        )
    if "official" in (said, inside):
        return "official"
    # Cards that `export` and the stage `foundation` wrote before they said it; all of them are ours.
    made_here = "job" in card or card.get("weights") in MADE_HERE
    return "ours" if "ours" in (said, inside) or made_here or belongs else None


def preprocessing_of(weights: str) -> Preprocessing:
    """Of a base model by its `weights` in the parameters: made here, or the path of a checkpoint."""
    if weights in MADE_HERE:
        return "ours"
    return read_preprocessing(Path(weights)) or "official"
