"""USCL-Med3D with its trained adapters switched off: must score exactly as SAM-Med3D (a check, shown as a row)."""

from __future__ import annotations

from typing import Any, Self

from uscl_med3d.methods.base import Weights
from uscl_med3d.methods.uscl_med3d import UsclMed3DMethod
from uscl_med3d.nets import lora


class AdapterOffMethod(UsclMed3DMethod):
    """Loads the trained adapters of USCL-Med3D's main run, then computes without them."""

    @classmethod
    def load(cls, job: Any, weights: Weights) -> Self:
        """See `Method.load`."""
        method = super().load(job, weights)
        for layer in lora.lora_layers(method.network).values():
            layer.enable_adapters(False)
        return method


METHOD = AdapterOffMethod
