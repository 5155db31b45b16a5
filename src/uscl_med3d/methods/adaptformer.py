"""AdaptFormer on SAM-Med3D: a trained bottleneck beside the MLP of every encoder block, the rest frozen."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from uscl_med3d.core.io import sha256
from uscl_med3d.core.params.base import Section
from uscl_med3d.core.seeds import derive_training, torch_generator
from uscl_med3d.methods.base import Card, need_base, torch_device
from uscl_med3d.methods.sam_med3d import SamMed3DMethod, load_base
from uscl_med3d.nets.adaptformer import BottleneckAdapter, add_adaptformer
from uscl_med3d.nets.tensors import read_tensors, save_tensors


class AdaptFormerOptions(Section):
    """See params.yaml, `methods.adaptformer.options`."""

    learning_rate: float
    bottleneck: int
    scale: float
    dropout: float


class AdaptFormerMethod(SamMed3DMethod):
    """The encoder gets adapters; prompt encoder and decoder stay the base model's."""

    card: ClassVar[Card] = Card(
        paper="Chen et al., AdaptFormer, 2022 (arXiv 2205.13535)",
        code="ShoufaChen/AdaptFormer@6967d676c1a5",
        licence="MIT",
        normalisation="z-score over voxels > 0 of the crop",
    )
    Options: ClassVar[type[Section]] = AdaptFormerOptions
    adapters: list[BottleneckAdapter]
    options: AdaptFormerOptions
    base_sha256: str

    @classmethod
    def load(
        cls, job: Any, base_weights: Path | None, checkpoint: Path | None, vcl_weights: Path | None
    ) -> Self:
        """See `Method.load`."""
        if vcl_weights is not None:
            raise ValueError("AdaptFormer does not start from a LoRA adapter")
        base_weights = need_base(base_weights)
        options, network = cls.read_options(job), load_base(job, base_weights)
        adapters = add_adaptformer(
            network.image_encoder, options.bottleneck, options.scale, options.dropout,
            torch_generator(derive_training(job.seed, job.run.training_seed), "adaptformer"),
        )  # fmt: skip
        method = cls(network, job.prompts, torch_device(job.device))
        method.adapters, method.options, method.base_sha256 = adapters, options, sha256(base_weights)
        if checkpoint is not None:
            method.load_trained(read_tensors(checkpoint, method._belongs()))
        return method

    def prepare_training(self) -> list[nn.Parameter]:
        """Train the adapters only."""
        self.embeds_once = False
        self.network.requires_grad_(False)
        parameters = list(self._parameters().values())
        for value in parameters:
            value.requires_grad_(True)
        return parameters

    def trained_state(self) -> dict[str, Tensor]:
        """Weights of the adapters."""
        return {name: value.detach().to("cpu", copy=True) for name, value in self._parameters().items()}

    def load_trained(self, tensors: Mapping[str, Tensor]) -> None:
        """See `Method.load_trained`."""
        parameters = self._parameters()
        if set(parameters) != set(tensors):
            raise ValueError(f"AdaptFormer tensors differ: {sorted(set(parameters) ^ set(tensors))[:4]}")
        with torch.no_grad():
            for name, value in parameters.items():
                value.copy_(tensors[name])

    def save(self, path: Path) -> None:
        """Write the adapters."""
        save_tensors(path, self.trained_state(), self._belongs())

    def describe(self) -> dict[str, Any]:
        """Bottleneck and scale."""
        return {"bottleneck": self.options.bottleneck, "scale": self.options.scale}

    @contextlib.contextmanager
    def adapters_off(self) -> Iterator[None]:
        """See `Method.adapters_off`."""
        try:
            for adapter in self.adapters:
                adapter.enabled = False
            yield
        finally:
            for adapter in self.adapters:
                adapter.enabled = True

    def _parameters(self) -> dict[str, nn.Parameter]:
        return {name: value for name, value in self.network.named_parameters() if ".adaptmlp." in name}

    def _belongs(self) -> dict[str, str]:
        return {"method": "adaptformer", "base_sha256": self.base_sha256, "scale": repr(self.options.scale)}


METHOD = AdaptFormerMethod
