"""Only the mask decoder is trained; image and prompt encoder stay the base model's."""

from __future__ import annotations

from torch import nn

from uscl_med3d.tuning.base import Tuning


class DecoderTuning(Tuning):
    """All weights of the mask decoder."""

    trains_encoder = False

    def trained(self) -> dict[str, nn.Parameter]:
        """See `Tuning.trained`."""
        return {
            name: value for name, value in self.network.named_parameters() if name.startswith("mask_decoder.")
        }


TUNING = DecoderTuning
