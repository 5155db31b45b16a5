"""Reading and writing weights under the official names."""

from __future__ import annotations

import argparse
import collections
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy._core.multiarray import scalar as numpy_scalar
from torch import Tensor, nn

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import atomic
from uscl_med3d.nets.card import KEY, Preprocessing, read_preprocessing
from uscl_med3d.nets.tensors import is_state, load_named, read_content

_MARKER = "image_encoder.decomposed_relative_position"
_WRAPPERS = ("model_state_dict", "model", "state_dict")
# Beside the tensors, official training files keep their arguments and losses. None of these types runs anything.
_PLAIN_TYPES: list[Any] = [
    argparse.Namespace,
    collections.Counter,
    collections.defaultdict,
    np.dtype,
    *{type(np.dtype(name)) for name in ("float64", "float32", "int64", "int32", "bool")},
    (numpy_scalar, "numpy._core.multiarray.scalar"),
    (numpy_scalar, "numpy.core.multiarray.scalar"),
]


def load_checkpoint(model: nn.Module, path: str | Path) -> None:
    """Load weights strictly, in place; the model's `preprocessing` becomes what their card says (without one: ours).

    Args:
        model: a SamMed3D, or a part of one, which has no card.
        path: .safetensors, or a torch file (.pth) holding a state_dict, possibly under `model_state_dict`.
            Torch files are read with `weights_only`, so nothing in them is executed.

    Raises:
        InputError: if the file cannot be read, or its tensors differ from the model's; the differing ones
            are named.
    """
    state = read_state(path)
    expected = model.state_dict()
    if (_MARKER in state) != (_MARKER in expected):
        modes = ["decomposed" if _MARKER in names else "upstream" for names in (state, expected)]
        raise InputError(
            file=path,
            found=f"weights trained with relative_position '{modes[0]}'",
            expected=f"weights for relative_position '{modes[1]}'",
            remedy=f"build the model with relative_position='{modes[0]}'; in the other form the same weights "
            "give other numbers",
        )
    load_named(
        model,
        state,
        path,
        expected="the tensors of this configuration",
        remedy="build the model with the configuration of the checkpoint (vit_b_ori for official files)",
    )
    if hasattr(model, "preprocessing"):
        whole: Any = model
        whole.preprocessing = read_preprocessing(Path(path)) or "ours"


def read_state(path: str | Path) -> dict[str, Tensor]:
    """The state_dict in a .safetensors or torch file, without the wrapper of official files (`model_state_dict`, `model`).

    Raises:
        InputError: for an unreadable file, one without tensors, or a torch file with more than tensors and plain values.
    """
    path = Path(path)
    content = read_content(
        path, _PLAIN_TYPES, "a readable .safetensors or .pth file", "restore the file or download it again"
    )
    if isinstance(content, dict):
        content = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), dict)), content)
    if not is_state(content):
        raise InputError(
            file=path,
            found="no state_dict",
            expected=f"a mapping of names to tensors, possibly under {' or '.join(_WRAPPERS)}",
            remedy="check that this is a checkpoint of a network",
        )
    return content


def export_state(model: nn.Module) -> dict[str, Tensor]:
    """Weights under official names, with LoRA merged into them; the model itself is not changed.

    Args:
        model: a SamMed3D, or one whose linear layers peft has wrapped (with or without peft's outer model).
    """
    adapted = {name: module for name, module in model.named_modules() if hasattr(module, "get_delta_weight")}
    state = {}
    for name, value in model.state_dict().items():
        owner = next((layer for layer in adapted if name.startswith(layer + ".")), None)
        if owner is not None:
            rest = name.removeprefix(owner + ".")
            if not rest.startswith("base_layer."):
                continue
            if rest == "base_layer.weight":
                value = value + _unmerged_delta(adapted[owner]).to(value.dtype)
            name = f"{owner}.{rest.removeprefix('base_layer.')}"
        state[name.removeprefix("base_model.model.")] = value.detach().cpu().clone()
    return state


def save_checkpoint(model: nn.Module, path: str | Path, preprocessing: Preprocessing = "ours") -> None:
    """Write `export_state(model)`: .safetensors plain, .pth under `model_state_dict` as upstream does.

    A .safetensors of weights that are fed officially says so in its metadata, too, so that no lost card changes how.
    """
    path = Path(path)
    state = export_state(model)
    with atomic(path) as temporary:
        if path.suffix == ".safetensors":
            from safetensors.torch import save_file

            said = {"belongs_to": json.dumps({KEY: preprocessing})} if preprocessing == "official" else None
            save_file({name: value.contiguous() for name, value in state.items()}, temporary, said)
        else:
            torch.save({"model_state_dict": state}, temporary)


@torch.no_grad()
def _unmerged_delta(layer: Any) -> Tensor:
    """Sum of the active adapters' weight changes that are not yet merged into the layer."""
    if layer.disable_adapters:
        return torch.zeros(())
    names = [
        name for name in layer.active_adapters if name in layer.lora_A and name not in layer.merged_adapters
    ]
    return sum((layer.get_delta_weight(name) for name in names), torch.zeros(()))
