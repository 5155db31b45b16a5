"""Full tuning: every weight of SAM-Med3D is trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from torch import Tensor, nn

from uscl_med3d.core.io import sha256
from uscl_med3d.core.params.base import Section
from uscl_med3d.methods.base import need_base, torch_device
from uscl_med3d.methods.sam_med3d import SamMed3DMethod, load_base
from uscl_med3d.nets.tensors import read_tensors, save_tensors


class FullTuningOptions(Section):
    """See params.yaml, `methods.full_tuning.options`."""

    learning_rate: float


class FullTuningMethod(SamMed3DMethod):
    """All weights of encoder, prompt encoder and decoder; the random positions are no weights and stay."""

    Options: ClassVar[type[Section]] = FullTuningOptions
    base_sha256: str

    @classmethod
    def load(
        cls, job: Any, base_weights: Path | None, checkpoint: Path | None, vcl_weights: Path | None
    ) -> Self:
        """See `Method.load`."""
        if vcl_weights is not None:
            raise ValueError("full tuning has no adapter to start from")
        cls.read_options(job)
        base_weights = need_base(base_weights)
        method = cls(load_base(job, base_weights), job.prompts, torch_device(job.device))
        method.base_sha256 = sha256(base_weights)
        if checkpoint is not None:
            method.load_trained(read_tensors(checkpoint, method._belongs()))
        return method

    def prepare_training(self) -> list[nn.Parameter]:
        """Train everything."""
        self.embeds_once = False
        self.network.requires_grad_(True)
        return list(self.network.parameters())

    def trained_state(self) -> dict[str, Tensor]:
        """All weights under their official names."""
        return {
            name: value.detach().to("cpu", copy=True) for name, value in self.network.state_dict().items()
        }

    def load_trained(self, tensors: Mapping[str, Tensor]) -> None:
        """See `Method.load_trained`."""
        self.network.load_state_dict(dict(tensors), strict=True)

    def save(self, path: Path) -> None:
        """Write all weights: a checkpoint that loads on its own in official tools, too."""
        save_tensors(path, self.trained_state(), self._belongs())

    def _belongs(self) -> dict[str, str]:
        return {"method": "full_tuning", "base_sha256": self.base_sha256}


METHOD = FullTuningMethod
