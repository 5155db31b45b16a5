"""USCL-Med3D: SAM-Med3D with LoRA on the attention of encoder, decoder or both (equation 7).

With VCL, the encoder's adapter comes from the pretext task: it is where training of the encoder starts, and
for decoder-only tuning it stays active and frozen.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from torch import Tensor, nn

from uscl_med3d.core.io import sha256
from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.methods import Modules, Run
from uscl_med3d.core.seeds import derive_training
from uscl_med3d.methods.base import Card, need_base, torch_device
from uscl_med3d.methods.sam_med3d import SamMed3DMethod, load_base
from uscl_med3d.nets import lora
from uscl_med3d.nets.tensors import read_tensors, save_tensors


class UsclMed3DOptions(Section):
    """See params.yaml, `methods.uscl_med3d.options`."""

    learning_rate: float
    alpha_rule: str
    dropout: float


class UsclMed3DMethod(SamMed3DMethod):
    """LoRA of one cell of the sweep (`run.rank`, `run.modules`, `run.vcl`)."""

    card: ClassVar[Card] = Card(
        paper="USCL-Med3D (the paper reproduced here); LoRA: Hu et al., 2021 (arXiv 2106.09685)",
        code="none released; LoRA through huggingface/peft",
        licence="Apache-2.0",
        normalisation="z-score over voxels > 0 of the crop",
    )
    Options: ClassVar[type[Section]] = UsclMed3DOptions
    run: Run
    modules: Modules
    alpha: float
    base_sha256: str

    @classmethod
    def load(
        cls, job: Any, base_weights: Path | None, checkpoint: Path | None, vcl_weights: Path | None
    ) -> Self:
        """See `Method.load`. `vcl_weights` must be given exactly when the run has VCL."""
        options, run, base_weights = cls.read_options(job), job.run, need_base(base_weights)
        if run.vcl != (vcl_weights is not None):
            raise ValueError(f"run {run.id}: vcl is {run.vcl}, but the pretrained adapter is {vcl_weights}")
        network, base_sha256 = load_base(job, base_weights), sha256(base_weights)
        alpha = lora.lora_alpha(options.alpha_rule, run.rank)
        seed = derive_training(job.seed, run.training_seed)
        for part in ("encoder", "decoder"):
            if run.modules in (part, "both") or (part == "encoder" and run.vcl):
                lora.add_lora(network, part, run.rank, alpha, options.dropout, seed)
        if vcl_weights is not None:
            tensors = lora.read_lora(vcl_weights, run.rank, alpha, base_sha256)
            lora.load_lora_state(network, tensors, "encoder")
        method = cls(network, job.prompts, torch_device(job.device))
        method.run, method.modules, method.alpha, method.base_sha256 = run, run.modules, alpha, base_sha256
        if checkpoint is not None:
            method.load_trained(read_tensors(checkpoint, method._belongs()))
        return method

    def prepare_training(self) -> list[nn.Parameter]:
        """Train the adapters of `run.modules` only."""
        self.embeds_once = self.modules == "decoder"
        return lora.freeze_all_but_lora(self.network, self.modules)

    def trained_state(self) -> dict[str, Tensor]:
        """A and B of the trained adapters."""
        return lora.lora_state(self.network, self.modules)

    def load_trained(self, tensors: Mapping[str, Tensor]) -> None:
        """See `Method.load_trained`."""
        lora.load_lora_state(self.network, tensors, self.modules)

    def save(self, path: Path) -> None:
        """Write the trained adapters; a frozen VCL adapter stays in its own file."""
        save_tensors(path, self.trained_state(), self._belongs())

    def describe(self) -> dict[str, Any]:
        """Rank, alpha, and the wrapped layers by name."""
        return {
            "rank": self.run.rank,
            "alpha": self.alpha,
            "adapted_layers": sorted(lora.lora_layers(self.network)),
            "trained_modules": self.modules,
            "vcl": self.run.vcl,
        }

    @contextlib.contextmanager
    def adapters_off(self) -> Iterator[None]:
        """See `Method.adapters_off`."""
        with lora.lora_off(self.network):
            yield

    def _belongs(self) -> dict[str, str]:
        return {
            "method": "uscl_med3d",
            "base_sha256": self.base_sha256,
            "rank": str(self.run.rank),
            "alpha": repr(self.alpha),
            "modules": str(self.modules),
            "vcl": str(self.run.vcl),
        }


METHOD = UsclMed3DMethod
