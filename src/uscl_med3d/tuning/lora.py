"""LoRA: low-rank adapters on the attention of encoder, decoder or both (equation 7), and on their MLPs where asked for.

With a pretext task, the encoder's adapter comes from it: it is where training of the encoder starts, and for
decoder-only tuning it stays active and frozen.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import nn

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.methods import Modules, Run
from uscl_med3d.nets import lora
from uscl_med3d.tuning.base import Tuning, TuningOptions


class LoraOptions(TuningOptions):
    """See params.yaml, `methods.uscl_med3d.tuning`; `rank` and `modules` are the grid's where there is one."""

    alpha_rule: str = Field(pattern=lora.ALPHA_RULE)
    dropout: float = Field(ge=0, lt=1)
    layers: Literal["attention", "attention_and_mlp"] = "attention"
    rank: int | None = Field(default=None, ge=1)
    modules: Modules | None = None


class LoraTuning(Tuning):
    """Adapters of one cell of the sweep (`run.rank`, `run.modules`, `run.pretraining`)."""

    Options: ClassVar[type[TuningOptions]] = LoraOptions

    def __init__(self, network: nn.Module, options: Any, run: Run, seed: int) -> None:
        super().__init__(network, options, run, seed)
        rank, modules = run.rank or options.rank, run.modules or options.modules
        if rank is None or modules is None:
            raise ValueError(
                f"run {run.id}: LoRA needs rank and modules, from the grid or from its own options"
            )
        self.rank: int = rank
        self.modules: Modules = modules
        self.alpha = lora.lora_alpha(options.alpha_rule, rank)
        for part in ("encoder", "decoder"):
            if modules in (part, "both") or (part == "encoder" and run.pretraining is not None):
                lora.add_lora(network, part, rank, self.alpha, options.dropout, seed, layers=options.layers)

    @property
    def trains_encoder(self) -> bool:
        """See `Tuning.trains_encoder`."""
        return self.modules != "decoder"

    def trained(self) -> dict[str, nn.Parameter]:
        """A and B of the trained adapters."""
        return lora.lora_parameters(self.network, self.modules)

    def load_start(self, path: Path, base_sha256: str) -> None:
        """See `Tuning.load_start`."""
        tensors = lora.read_lora(path, self.rank, self.alpha, base_sha256)
        try:
            lora.load_lora_state(self.network, tensors, "encoder")
        except ValueError as error:  # other layers or another encoder
            raise InputError(
                file=path,
                found=f"adapters of other layers ({error})",
                expected=f"adapters of the encoder's layers `{self.options.layers}`",
                remedy="pretrain with pretrain.layers equal to the method's tuning.layers",
            ) from None

    def facts(self) -> dict[str, str]:
        """See `Tuning.facts`."""
        # Attention is the rule: files of adapters on attention alone do not say so.
        layers = {} if self.options.layers == "attention" else {"layers": self.options.layers}
        return {
            "rank": str(self.rank),
            "alpha": repr(self.alpha),
            "modules": self.modules,
            "pretraining": str(self.run.pretraining),
            **layers,
        }

    def describe(self) -> dict[str, Any]:
        """Rank, alpha, and the wrapped layers by name."""
        return {
            "rank": self.rank,
            "alpha": self.alpha,
            "adapted_layers": sorted(lora.lora_layers(self.network)),
            "trained_modules": self.modules,
            "pretraining": self.run.pretraining,
        }

    def off(self) -> contextlib.AbstractContextManager[None]:
        """See `Tuning.off`."""
        return lora.lora_off(self.network)


TUNING = LoraTuning
