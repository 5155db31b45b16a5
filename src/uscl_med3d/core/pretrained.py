"""Encoder adapters that a run is given instead of pretraining them (`pretrained`): do they fit? Asked before it starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uscl_med3d.core import shipped
from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import sha256

if TYPE_CHECKING:
    from uscl_med3d.core.plan import Plan

BASE = "sam_med3d"
"""The base model whose encoder pretext tasks teach."""


def check_pretrained(plan: Plan) -> None:
    """Raise `InputError` for an adapter of a name that no run starts from, that is missing, or of another rank or base.

    Scale and layers are compared when it is loaded. The hash of a base model that is made here is not known yet.
    """
    given = plan.params.pretrained
    if unknown := sorted(set(given) - set(plan.starts)):
        raise InputError(
            file=plan.file,
            found=f"pretrained: {', '.join(unknown)}",
            expected=f"a name that runs start from: {', '.join(plan.starts) or 'none, no run starts from an adapter'}",
            remedy="correct the name, or the rank and task in methods.uscl_med3d.grid",
        )
    for name, file in given.items():
        found = read_facts(Path(file))
        wanted: dict[str, Any] = {"rank": plan.starts[name].rank}
        if getattr(plan.params.foundation, BASE).weights == shipped.SHIPPED:
            wanted["base_sha256"] = sha256(shipped.list_files(BASE).weights)
        different = [key for key, value in wanted.items() if found.get(key) != value]
        if different:
            raise InputError(
                file=file,
                found=", ".join(f"{key} {found.get(key)}" for key in different),
                expected=", ".join(f"{key} {wanted[key]}" for key in different) + f", as {name} of this run",
                remedy="pretrain again with the rank and base model of this run, or change those of the run",
            )


def read_facts(file: Path) -> dict[str, Any]:
    """What a file of adapters says of itself: rank, alpha, base_sha256. Raises `InputError`."""
    try:
        facts = _read_metadata(file)
        found = "no word on a rank and a base model"
    except Exception as error:  # the library has its own kinds
        facts, found = {}, "no such file" if not file.is_file() else f"{type(error).__name__}: {error}"
    if not facts:
        raise InputError(
            file=file,
            found=found,
            expected="an encoder adapter that a pretraining has written",
            remedy="correct the path in `pretrained`, or make the adapter: uscl-med3d pretrain-clips",
        )
    return facts


def refuse_as_model(file: Path) -> None:
    """Raise `InputError` for an encoder adapter where a model that segments is wanted."""
    try:
        is_adapter = file.suffix == ".safetensors" and bool(_read_metadata(file))
    except Exception:  # whoever reads the file says what is wrong with it
        return
    if is_adapter:
        raise InputError(
            file=file,
            found="an encoder adapter of a pretraining, which segments nothing by itself",
            expected="a trained model",
            remedy="fine-tune from it on some annotated sweeps: `pretrained` in docs/own_cohort.md",
        )


def _read_metadata(file: Path) -> dict[str, Any]:
    from safetensors import safe_open

    with safe_open(str(file), framework="np") as stream:
        facts: dict[str, Any] = json.loads((stream.metadata() or {}).get("lora", "{}"))
    return facts
