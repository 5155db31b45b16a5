"""Adapters added to the weights that they adapt, for use without training: nothing to compute beside them, no peft."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from uscl_med3d.core.errors import InputError


def load_merged(job: Any, base: Path, checkpoint: Path) -> Any:
    """The method of a job whose tuning is LoRA, ready to predict; None where trained adapters alone do not make it.

    W + (alpha / r) B A takes the place of W (equation 7). Masks equal those of separate adapters but for rounding, which
    may turn a voxel whose logit is zero to six digits. peft, which takes seconds to import, is not needed.

    Raises:
        InputError: for files that do not fit the job.
    """
    from uscl_med3d.core.io import sha256
    from uscl_med3d.methods.base import Weights
    from uscl_med3d.methods.registry import find_method
    from uscl_med3d.nets import lora
    from uscl_med3d.nets.tensors import read_tensors
    from uscl_med3d.tuning.lora import LoraOptions

    settings, run = job.method.tuning, job.run
    if settings is None or settings["strategy"] != "lora" or (run.pretraining and run.modules == "decoder"):
        return None
    options = LoraOptions.model_validate(settings)
    rank, modules = run.rank or options.rank, run.modules or options.modules
    if rank is None or modules is None:
        return None
    alpha = lora.lora_alpha(options.alpha_rule, rank)
    kind = find_method(job.method.module or run.method)
    plain = job.method.model_copy(update={"tuning": None})
    method = kind.load(job.model_copy(update={"method": plain}), Weights(base))
    # As `LoraTuning.facts` writes them: a test compares the two.
    facts = {"rank": str(rank), "alpha": repr(alpha), "modules": modules, "pretraining": str(run.pretraining)}
    if options.layers != "attention":
        facts["layers"] = options.layers
    owner = job.method.weights_of or run.method
    tensors = read_tensors(checkpoint, {"method": owner, "base_sha256": sha256(base), **facts})
    names = lora.lora_targets(method.network, modules, options.layers)
    expected = {f"{name}.lora_{part}.weight" for name in names for part in "AB"}
    if expected != set(tensors):
        raise InputError(
            file=checkpoint,
            found=f"other adapters: {', '.join(sorted(expected ^ set(tensors))[:4])}, ...",
            expected=f"adapters of the {modules}'s layers `{options.layers}`",
            remedy="name the weights of this run",
        )
    with torch.no_grad():
        for name in names:
            layer = method.network.get_submodule(name)
            assert isinstance(layer, nn.Linear)
            up, down = tensors[f"{name}.lora_B.weight"], tensors[f"{name}.lora_A.weight"]
            layer.weight += ((up @ down) * (alpha / rank)).to(layer.weight)
    return method
