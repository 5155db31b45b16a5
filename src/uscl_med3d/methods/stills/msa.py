"""MSA: SAM with adapters in every block; the whole mask decoder is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar, Literal

from torch import Tensor

from uscl_med3d.core.params.base import Section
from uscl_med3d.methods.base import Card
from uscl_med3d.methods.stills.base import Batch, FrozenPromptMethod, Start, StretchFrame, read_base
from uscl_med3d.nets.losses2d import msa_loss
from uscl_med3d.nets.msa import MSA, RELEASED, SANE, Msa, build_msa, start_msa, trained_names
from uscl_med3d.nets.sam.frame import Frame


class MsaOptions(Section):
    """`bottleneck_ratio`: hidden over outer channels of an adapter. `behaviour`: of all of `nets.msa.Switches`."""

    bottleneck_ratio: float
    behaviour: Literal["official", "sane"]


class MsaStill(FrozenPromptMethod):
    """One mask; cross-entropy alone."""

    card: ClassVar[Card] = Card(
        paper="Wu et al., Medical SAM Adapter, 2023 (arXiv 2304.12620)",
        code="KidsWithTokens/Medical-SAM-Adapter@4dcdc63c65c5",
        licence="GPL-3.0 (behaviour only: no code of it is here)",
        normalisation="stretched to the square, 0..1",
    )
    Options: ClassVar[type[Section]] = MsaOptions
    network: Msa

    def __init__(self, network: Msa) -> None:
        self.network = network

    @classmethod
    def build(cls, start: Start) -> MsaStill:
        options = cls.read_options(start)
        base, tensors = read_base(start)
        own: dict[str, Any] = {name: MSA[name] for name in ("mlp_adapter_scale", "slices")}
        own |= asdict(RELEASED if options.behaviour == "official" else SANE)
        own |= {"bottleneck_ratio": options.bottleneck_ratio, "depth_adapters": False}
        architecture = base | own | {"image_size": start.image_size}
        network = build_msa(architecture)
        start_msa(network, tensors)
        method = cls(network.eval())
        method.architecture = architecture
        return method

    def make_frame(self, size: tuple[int, int]) -> Frame:
        return StretchFrame(size, self.network.config.image_size, self.network.config.mask_size)

    def trained_names(self) -> list[str]:
        return trained_names(self.network)

    def loss(self, batch: Batch) -> Mapping[str, Tensor]:
        total, parts = msa_loss(*self.low_logits(batch))
        return {"loss": total, **parts}


METHOD = MsaStill
