"""A trained model for other tools, each with a model card."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import atomic, write_text
from uscl_med3d.user import models
from uscl_med3d.user.cards import write_data_card, write_model_card
from uscl_med3d.user.official import OfficialChoice
from uscl_med3d.user.official_stills import MODELS

MODULES = {"official": "official", "peft": "adapter", "onnx": "onnx_model", "monai-bundle": "monai_bundle"}


def export(
    kind: str,
    weights: str | None,
    base: Path | None,
    start: Path | None,
    scale: str,
    out: Path,
    results: Path | None,
) -> list[Path]:
    """Write a model in the format `kind` into the folder `out`; the files, sorted.

    Args:
        kind: a key of `MODULES`.
        weights, base, start, scale: as `models.choose`.
        out: a new or empty folder; it appears as a whole, or not at all.
        results: whose tables the model card shows; None: results/<scale> of the chosen run, if it is one.

    Raises:
        InputError: for a model that the format cannot hold, missing packages, or a folder with files in it.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(
            file=out,
            found="a file, or a folder with files in it",
            expected="a new folder",
            remedy="name another folder by --out",
        )
    write: Callable[[models.Choice, Path], str] = import_module(
        f"uscl_med3d.user.export.{MODULES[kind]}"
    ).write
    choice = models.choose(weights, base, start, scale)
    if isinstance(choice, OfficialChoice):
        if choice.model in MODELS:
            raise InputError(
                file=choice.name,
                found=f"{choice.model}, a model for single pictures",
                expected="a model that takes clicks in a volume",
                remedy="use its file as it is: the tensors have their official names",
            )
        raise InputError(
            file=choice.name,
            found="an official checkpoint",
            expected="a model that was trained here",
            remedy="use the file as it is, or name a run by --weights",
        )
    if results is None and choice.scale is not None:
        results = Path("results", choice.scale)
    with atomic(out) as folder:
        folder.mkdir()
        usage = write(choice, folder)
        write_text(folder / "USAGE.md", usage)
        write_model_card(folder / "MODEL_CARD.md", choice, results)
        if results is not None:
            write_data_card(folder / "DATA_CARD.md", choice, results)
    return sorted(path for path in out.rglob("*") if path.is_file())
