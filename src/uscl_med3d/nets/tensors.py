"""Trained tensors in files: safetensors that say what they belong to, with equal bytes for equal content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import atomic

# One key only: safetensors writes several metadata keys in random order, so that equal files would differ in
# bytes.
_KEY = "belongs_to"


def save_tensors(path: str | Path, tensors: Mapping[str, Tensor], belongs_to: Mapping[str, str]) -> None:
    """Write tensors sorted by name, with what they belong to (base weights, rank, ...)."""
    from safetensors.torch import save_file

    values = {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}
    with atomic(path) as temporary:
        save_file(values, temporary, {_KEY: json.dumps(dict(belongs_to), sort_keys=True)})


def read_metadata(path: str | Path) -> dict[str, str]:
    """What the tensors in a file of `save_tensors` belong to. Raises `InputError` for an unreadable file."""
    from safetensors import safe_open

    try:
        with safe_open(str(path), framework="pt") as stream:
            return json.loads((stream.metadata() or {}).get(_KEY, "{}"))
    except Exception as error:
        raise InputError(
            file=path, found=f"{type(error).__name__}: {error}", expected="a readable .safetensors file",
            remedy="delete the file, so that its stage writes it again",
        ) from error  # fmt: skip


def read_tensors(path: str | Path, belongs_to: Mapping[str, str]) -> dict[str, Tensor]:
    """Read what `save_tensors` wrote.

    Raises:
        InputError: for an unreadable file, or one that belongs to something else.
    """
    from safetensors import safe_open

    try:
        with safe_open(str(path), framework="pt") as stream:
            found = json.loads((stream.metadata() or {}).get(_KEY, "{}"))
            tensors = {name: stream.get_tensor(name) for name in sorted(stream.keys())}
    except Exception as error:
        raise InputError(
            file=path, found=f"{type(error).__name__}: {error}", expected="a readable .safetensors file",
            remedy="delete the file, so that its stage writes it again",
        ) from error  # fmt: skip
    wrong = sorted(key for key in {**found, **belongs_to} if found.get(key) != belongs_to.get(key))
    if wrong:
        raise InputError(
            file=path,
            found="; ".join(f"{key}: {found.get(key)}" for key in wrong),
            expected="; ".join(f"{key}: {belongs_to.get(key)}" for key in wrong),
            remedy="delete the file, so that its stage writes it again for the present parameters",
        )
    return tensors
