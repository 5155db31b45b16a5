"""Weights of SAM and its relatives: official checkpoints, and our files that carry their architecture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from uscl_med3d.core.errors import InputError
from uscl_med3d.nets.tensors import is_state, load_named, read_content, read_tensors, save_tensors


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
            file=path,
            found=f"{type(error).__name__}: {error}",
            expected=f"base weights of {model}",
            remedy="delete the file, so that the stage foundation writes it again",
        ) from error
    return architecture, read_tensors(path, belongs_to | {"model": model})


def _read_state(path: Path, wrapper: str | None, source: str) -> dict[str, Tensor]:
    expected = "a readable checkpoint" + (f" with its tensors under `{wrapper}`" if wrapper else "")
    content = read_content(path, (), expected, f"download the file again ({source})")
    if wrapper and path.suffix != ".safetensors":
        content = content.get(wrapper) if isinstance(content, dict) else None
    if not is_state(content):
        raise InputError(
            file=path,
            found="no mapping of names to tensors",
            expected=expected,
            remedy=f"use the unmodified checkpoint ({source})",
        )
    return content
