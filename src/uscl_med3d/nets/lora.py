"""Low-rank adapters (LoRA) of SAM-Med3D through peft: W' x = W x + (alpha / r) B A x (equation 7).

One adapter per wrapped layer. The adapters of encoder and decoder are wrapped, stored and frozen separately,
because the encoder's may come from pretraining and stay fixed while the decoder's are trained. peft takes
seconds to import, so it is imported where it is used.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import atomic
from uscl_med3d.core.params.methods import Modules
from uscl_med3d.core.seeds import torch_generator
from uscl_med3d.nets.sam_med3d import Layers, lora_targets

Network = TypeVar("Network", bound=nn.Module)
ALPHA_RULE = r"^(equal_rank|twice_rank|fixed:\d+(\.\d+)?)$"


def lora_alpha(rule: str, rank: int) -> float:
    """The scale alpha of a rank-r adapter; its output is multiplied by alpha / r.

    Rules: `equal_rank` (alpha = r, factor 1), `twice_rank` (alpha = 2 r, factor 2), `fixed:<number>`.

    Raises:
        ValueError: for another rule.
    """
    if rule == "equal_rank":
        return float(rank)
    if rule == "twice_rank":
        return 2.0 * rank
    match = re.fullmatch(r"fixed:(\d+(?:\.\d+)?)", rule)
    if match is None:
        raise ValueError(f"alpha_rule {rule!r}: expected equal_rank, twice_rank or fixed:<number>")
    return float(match[1])


def add_lora(
    model: Network,
    modules: Modules,
    rank: int,
    alpha: float,
    dropout: float,
    seed: int,
    *,
    layers: Layers = "attention",
) -> Network:
    """Wrap the attention layers of `modules` in place, and with them the MLPs' if `layers` says so; return the model.

    B starts at zero, so the wrapped model computes exactly what it did. A is uniform in +-1/sqrt(inputs)
    (peft's rule) from a stream named by the layer: it does not depend on which other layers are wrapped, nor
    on the global generator. May be called once for the encoder and once for the decoder. What trains
    afterwards is peft's choice (the new adapters, not the base model): call `freeze_all_but_lora` next.

    Raises:
        ValueError: if a layer of `modules` is wrapped already.
    """
    from peft import LoraConfig, inject_adapter_in_model

    wrapped = lora_parameters(model, modules)
    if wrapped:
        raise ValueError(f"layers of `{modules}` have adapters already: {', '.join(list(wrapped)[:2])}, ...")
    names = lora_targets(model, modules, layers)
    # peft divides alpha by the rank: a fraction works as well as the int of its annotation.
    config = LoraConfig(
        r=rank, lora_alpha=cast(int, alpha), lora_dropout=dropout, bias="none", target_modules=names
    )
    if hasattr(model, "peft_config"):
        del model.peft_config  # peft would warn that the second set replaces the first; the sets are disjoint
    # peft draws its own start from the global generator, which must not notice.
    with torch.random.fork_rng(devices=[]):
        inject_adapter_in_model(config, model)
    for name in names:
        _initialise(model.get_submodule(name), torch_generator(seed, "lora", name))
    return model


def lora_layers(model: nn.Module) -> dict[str, Any]:
    """Wrapped layers (`peft.tuners.lora.LoraLayer`) by name, in the order of the model."""
    from peft.tuners.lora import LoraLayer

    return {name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)}


def lora_parameters(model: nn.Module, modules: Modules = "both") -> dict[str, nn.Parameter]:
    """A and B of the wrapped layers of `modules`, as `<layer>.lora_A.weight` and `<layer>.lora_B.weight`."""
    found = {}
    for name, layer in lora_layers(model).items():
        if modules == "both" or name.startswith(_PARTS[modules]):
            found[f"{name}.lora_A.weight"] = layer.lora_A["default"].weight
            found[f"{name}.lora_B.weight"] = layer.lora_B["default"].weight
    return found


def lora_state(model: nn.Module, modules: Modules = "both") -> dict[str, Tensor]:
    """Copies of A and B on the CPU; names as in peft's own files (without the adapter's name)."""
    return {
        name: value.detach().to("cpu", copy=True).contiguous()
        for name, value in lora_parameters(model, modules).items()
    }


def load_lora_state(model: nn.Module, tensors: Mapping[str, Tensor], modules: Modules = "both") -> None:
    """Copy stored A and B into the wrapped layers of `modules`; every name and shape must fit.

    Raises:
        ValueError: names the first differences.
    """
    parameters = lora_parameters(model, modules)
    wrong = sorted(set(parameters) ^ set(tensors))
    wrong += [
        name
        for name in sorted(parameters)
        if name in tensors and parameters[name].shape != tensors[name].shape
    ]
    if wrong:
        raise ValueError(
            f"{len(wrong)} LoRA tensors missing, unexpected or of another shape: {', '.join(wrong[:4])}"
        )
    with torch.no_grad():
        for name, value in parameters.items():
            value.copy_(tensors[name])


def freeze_all_but_lora(model: nn.Module, modules: Modules = "both") -> list[nn.Parameter]:
    """Let only the adapters of `modules` train and return them; other adapters stay active and frozen."""
    model.requires_grad_(False)
    parameters = list(lora_parameters(model, modules).values())
    for value in parameters:
        value.requires_grad_(True)
    return parameters


@contextlib.contextmanager
def lora_off(model: nn.Module) -> Iterator[None]:
    """Within the context the model computes as without adapters. What trains is as before afterwards."""
    layers = list(lora_layers(model).values())
    flags = [(value, value.requires_grad) for layer in layers for value in layer.parameters()]
    before = [layer.disable_adapters for layer in layers]
    try:
        for layer in layers:
            layer.enable_adapters(False)
        yield
    finally:
        for layer, disabled in zip(layers, before, strict=True):
            layer.enable_adapters(not disabled)
        # peft makes adapters trainable when it switches them on, also the ones that were frozen.
        for value, flag in flags:
            value.requires_grad_(flag)


def merge_lora(model: Network) -> Network:
    """Add every adapter to its layer's weight and unwrap, in place: plain layers under their own names."""
    for name, layer in lora_layers(model).items():
        layer.merge()
        parent, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent), leaf, layer.get_base_layer())
    if hasattr(model, "peft_config"):
        del model.peft_config
    return model


def save_lora(
    path: str | Path, tensors: Mapping[str, Tensor], rank: int, alpha: float, base_sha256: str
) -> None:
    """Write adapter tensors as safetensors with rank, alpha and the base weights they belong to."""
    from safetensors.torch import save_file

    metadata = _describe(rank, alpha, base_sha256)
    with atomic(path) as temporary:
        save_file(dict(sorted(tensors.items())), temporary, metadata)


def read_lora(path: str | Path, rank: int, alpha: float, base_sha256: str) -> dict[str, Tensor]:
    """Read adapter tensors made by `save_lora` for the same rank, alpha and base weights.

    Raises:
        InputError: unreadable file, or made for something else.
    """
    from safetensors import safe_open

    try:
        with safe_open(str(path), framework="pt") as stream:
            found = stream.metadata() or {}
            tensors = {name: stream.get_tensor(name) for name in sorted(stream.keys())}
    except Exception as error:
        raise InputError(
            file=path,
            found=f"{type(error).__name__}: {error}",
            expected="a safetensors file of LoRA weights",
            remedy="delete the file, so that the stage `pretrain` writes it again",
        ) from error
    expected = _describe(rank, alpha, base_sha256)
    if found != expected:
        raise InputError(
            file=path,
            found=str(found),
            expected=str(expected),
            remedy="give `pretrain` and `finetune` the same base weights, rank and alpha_rule",
        )
    return tensors


_PARTS = {"encoder": "image_encoder.", "decoder": "mask_decoder."}


def _describe(rank: int, alpha: float, base_sha256: str) -> dict[str, str]:
    # One entry: safetensors writes several in random order, and equal adapters should give equal bytes.
    return {"lora": json.dumps({"rank": rank, "alpha": float(alpha), "base_sha256": base_sha256})}


def _initialise(layer: Any, generator: torch.Generator) -> None:
    down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    bound = 1 / math.sqrt(down.shape[1])
    with torch.no_grad():
        down.copy_(torch.empty(down.shape).uniform_(-bound, bound, generator=generator))
        up.zero_()
