"""Weights of SAM and its relatives: official checkpoints, and our files that carry their architecture."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from uscl_med3d.core.errors import InputError
from uscl_med3d.nets.sam_med3d.checkpoint import describe_differences
from uscl_med3d.nets.tensors import read_tensors, save_tensors

_LISTED = 8


def load_official(network: nn.Module, path: str | Path, wrapper: str | None, source: str) -> None:
    """Load an official checkpoint strictly, in place.

    Args:
        network: a `Sam` of the checkpoint's architecture.
        path: a torch file, read with `weights_only`, so nothing in it is executed; or .safetensors.
        wrapper: key under which the file keeps the tensors (`model` in sam-med2d_b.pth), or None.
        source: where the file comes from, for messages.

    Raises:
        InputError: if the file cannot be read, or its tensors differ; the differing ones are named.
    """
    state = _read_state(Path(path), wrapper, source)
    load_named(network, state, path, f"use the unmodified checkpoint ({source}) with its own architecture")


def load_named(network: nn.Module, state: Mapping[str, Tensor], path: str | Path, remedy: str) -> None:
    """Load tensors strictly, in place; an `InputError` names the differing ones."""
    differences = describe_differences(dict(state), network.state_dict())
    if differences:
        listed = "\n            ".join(differences[:_LISTED])
        more = f"\n            and {len(differences) - _LISTED} more" if len(differences) > _LISTED else ""
        raise InputError(
            file=path,
            found=f"{len(differences)} tensors that differ from the model:\n            {listed}{more}",
            expected="the tensors of the configured architecture",
            remedy=remedy,
        )
    network.load_state_dict(dict(state), strict=True)


def save_weights(path: str | Path, model: str, architecture: Mapping[str, Any], network: nn.Module) -> None:
    """Write a network with what is needed to build it again.

    Args:
        model: which network it is: a key of `foundation` in params.yaml.
        architecture: what its builder takes, JSON values only.
    """
    belongs_to = {"model": model, "architecture": json.dumps(architecture, sort_keys=True)}
    save_tensors(path, network.state_dict(), belongs_to)


def read_weights(path: str | Path, model: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Architecture and tensors of a file that `save_weights` wrote for `model`.

    Raises:
        InputError: for an unreadable file, or one of another model.
    """
    from safetensors import safe_open

    try:
        with safe_open(str(path), framework="pt") as stream:
            belongs_to = json.loads(stream.metadata()["belongs_to"])
            architecture = json.loads(belongs_to["architecture"])
    except Exception as error:
        raise InputError(
            file=path, found=f"{type(error).__name__}: {error}", expected=f"base weights of {model}",
            remedy="delete the file, so that the stage foundation writes it again",
        ) from error  # fmt: skip
    return architecture, read_tensors(path, belongs_to | {"model": model})


def _read_state(path: Path, wrapper: str | None, source: str) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
            content = content[wrapper] if wrapper else content
    except pickle.UnpicklingError as error:
        raise InputError(
            file=path,
            found=f"a torch file with more than tensors in it ({str(error).splitlines()[0]})",
            expected="tensors only, because anything else could run code when it is read",
            remedy="save its state_dict alone, or as .safetensors, in an environment that you trust",
        ) from error
    except Exception as error:
        raise InputError(
            file=path, found=f"{type(error).__name__}: {error}",
            expected="a readable checkpoint" + (f" with its tensors under `{wrapper}`" if wrapper else ""),
            remedy=f"download the file again ({source})",
        ) from error  # fmt: skip
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(
            file=path, found="no mapping of names to tensors", expected="a state_dict",
            remedy=f"use the unmodified checkpoint ({source})",
        )  # fmt: skip
    return content
