"""Trained tensors in files: safetensors that say what they belong to, with equal bytes for equal content."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import atomic

# One key only: safetensors writes several metadata keys in random order, so that equal files would differ in
# bytes.
_KEY = "belongs_to"
_LISTED = 8
"""Differing tensors in one message."""


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
            file=path,
            found=f"{type(error).__name__}: {error}",
            expected="a readable .safetensors file",
            remedy="delete the file, so that its stage writes it again",
        ) from error


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
            file=path,
            found=f"{type(error).__name__}: {error}",
            expected="a readable .safetensors file",
            remedy="delete the file, so that its stage writes it again",
        ) from error
    wrong = sorted(key for key in {**found, **belongs_to} if found.get(key) != belongs_to.get(key))
    if wrong:
        raise InputError(
            file=path,
            found="; ".join(f"{key}: {found.get(key)}" for key in wrong),
            expected="; ".join(f"{key}: {belongs_to.get(key)}" for key in wrong),
            remedy="delete the file, so that its stage writes it again for the present parameters",
        )
    return tensors


def read_content(path: Path, plain_types: Sequence[Any], expected: str, remedy: str) -> Any:
    """What a .safetensors or torch file of somebody else holds. Nothing in it is executed.

    Args:
        plain_types: what a torch file may hold beside tensors. expected, remedy: for messages.

    Raises:
        InputError: for an unreadable file, or a torch file with more than tensors and plain values.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        with torch.serialization.safe_globals(list(plain_types)):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            file=path,
            found=f"a torch file with more than tensors in it ({str(error).splitlines()[0]})",
            expected="tensors only, because anything else could run code when it is read",
            remedy="save the state_dict alone, or convert it to .safetensors in an environment you trust",
        ) from error
    except Exception as error:
        raise InputError(
            file=path, found=f"{type(error).__name__}: {error}", expected=expected, remedy=remedy
        ) from error


def is_state(content: Any) -> bool:
    """Whether something is a mapping of names to tensors."""
    return isinstance(content, dict) and all(isinstance(value, Tensor) for value in content.values())


def load_named(
    network: nn.Module,
    state: Mapping[str, Tensor],
    path: str | Path,
    remedy: str,
    expected: str = "the tensors of the configured architecture",
) -> None:
    """Load tensors strictly, in place; an `InputError` names the differing ones."""
    differences = describe_differences(state, network.state_dict())
    if differences:
        listed = "\n            ".join(differences[:_LISTED])
        more = f"\n            and {len(differences) - _LISTED} more" if len(differences) > _LISTED else ""
        raise InputError(
            file=path,
            found=f"{len(differences)} tensors that differ from the model:\n            {listed}{more}",
            expected=expected,
            remedy=remedy,
        )
    network.load_state_dict(dict(state), strict=True)


def describe_differences(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    """One line per tensor that is missing, unknown, or of another shape, sorted by name."""
    lines = []
    for name in sorted(state.keys() | expected.keys()):
        if name not in state:
            lines.append(f"{name}: missing, expected {tuple(expected[name].shape)}")
        elif name not in expected:
            lines.append(f"{name}: unknown, {tuple(state[name].shape)}")
        elif state[name].shape != expected[name].shape:
            lines.append(f"{name}: {tuple(state[name].shape)}, expected {tuple(expected[name].shape)}")
    return lines
