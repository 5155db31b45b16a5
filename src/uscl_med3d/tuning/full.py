"""Every weight of the network is trained."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from uscl_med3d.tuning.base import Tuning


class FullTuning(Tuning):
    """All weights; random positions are no weights and stay. Stored as a checkpoint that loads on its own."""

    trains_encoder = True

    def trained(self) -> dict[str, nn.Parameter]:
        """See `Tuning.trained`."""
        return dict(self.network.named_parameters())

    def state(self) -> dict[str, Tensor]:
        """All weights and buffers under their official names."""
        return {
            name: value.detach().to("cpu", copy=True) for name, value in self.network.state_dict().items()
        }

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """See `Tuning.load_state`."""
        self.network.load_state_dict(dict(tensors), strict=True)


TUNING = FullTuning
