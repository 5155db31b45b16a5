"""AdaptFormer: a trained bottleneck beside the MLP of every transformer block, the rest frozen.

The paper adapts "every Transformer block"; `modules` says whether those of the decoder are among them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field
from torch import nn

from uscl_med3d.core.params.methods import Modules, Run
from uscl_med3d.core.seeds import torch_generator
from uscl_med3d.nets.adaptformer import add_to_decoder, add_to_encoder
from uscl_med3d.tuning.base import Tuning, TuningOptions


class AdaptFormerOptions(TuningOptions):
    """See params.yaml, `methods.adaptformer.tuning`."""

    bottleneck: int = Field(ge=1)
    scale: float
    dropout: float = Field(ge=0, lt=1)
    modules: Modules


class AdaptFormerTuning(Tuning):
    """Adapters in encoder blocks, decoder blocks or both."""

    Options: ClassVar[type[TuningOptions]] = AdaptFormerOptions

    def __init__(self, network: nn.Module, options: Any, run: Run, seed: int) -> None:
        super().__init__(network, options, run, seed)
        generator = torch_generator(seed, "adaptformer")
        shape = (options.bottleneck, options.scale, options.dropout, generator)
        self.adapters = []
        if options.modules != "decoder":
            self.adapters += add_to_encoder(network.image_encoder, *shape)
        if options.modules != "encoder":
            self.adapters += add_to_decoder(network.mask_decoder, *shape)

    @property
    def trains_encoder(self) -> bool:
        """See `Tuning.trains_encoder`."""
        return self.options.modules != "decoder"

    def trained(self) -> dict[str, nn.Parameter]:
        """Weights of the adapters."""
        return {name: value for name, value in self.network.named_parameters() if ".adaptmlp." in name}

    def facts(self) -> dict[str, str]:
        """See `Tuning.facts`."""
        return {"scale": repr(self.options.scale), "modules": self.options.modules}

    def describe(self) -> dict[str, Any]:
        """Bottleneck, scale and place."""
        options = self.options
        return {"bottleneck": options.bottleneck, "scale": options.scale, "trained_modules": options.modules}

    @contextlib.contextmanager
    def off(self) -> Iterator[None]:
        """See `Tuning.off`."""
        try:
            for adapter in self.adapters:
                adapter.enabled = False
            yield
        finally:
            for adapter in self.adapters:
                adapter.enabled = True


TUNING = AdaptFormerTuning
