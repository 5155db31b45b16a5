"""Official checkpoints of SAMUS, MedSAM and MSA for a user's pictures: fed as their own code feeds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from uscl_med3d.methods.stills.base import ClickedMethod

MODELS = ("medsam", "msa", "samus")
NOTES = {
    "medsam": "MedSAM learned from boxes; clicks are outside of what its official weights know",
    "msa": "MSA's released code mixes up rows and columns of clicks; here they are (x, y)",
}
"""What a user has to know of a model's clicks."""


class StillSlices:
    """A method for single images behind the verbs of `methods.slicewise`: embed, start, click.

    base: name of the model, as `methods.slicewise.SlicewiseMethod.base`.
    """

    def __init__(self, method: ClickedMethod, model: str, device: torch.device) -> None:
        self.method, self.base, self.device = method, model, device
        method.network.to(device).eval()

    def embed(self, images: Tensor) -> Tensor:
        """RGB (n, 3, h, w) in 0..255 -> embeddings."""
        return self.method.embed(images.to(self.device))

    def start(self, embedding: Tensor, size: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
        """No mask is fed back, so the state is the embedding."""
        return embedding, size

    def click(self, state: tuple[Tensor, tuple[int, int]], points: Tensor, labels: Tensor) -> Tensor:
        """All clicks so far (n, k, 2) as (row, column) -> logits (n, 1, h, w)."""
        embedding, size = state
        return self.method.click(embedding, size, points.to(self.device), labels.to(self.device))


def load_stills(model: str, network: nn.Module, device: torch.device) -> StillSlices:
    """The method of a loaded network."""
    from uscl_med3d.methods.stills import medsam, msa, samus

    kinds: Mapping[str, Any] = {
        "medsam": lambda: medsam.MedSamStill(network, first_form=False),  # type: ignore[arg-type]
        "msa": lambda: msa.MsaStill(network),  # type: ignore[arg-type]
        "samus": lambda: samus.SamusStill(network),  # type: ignore[arg-type]
    }
    return StillSlices(kinds[model](), model, device)
