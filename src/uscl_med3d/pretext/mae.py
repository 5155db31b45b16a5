"""MAE: most patches of a crop are hidden; a small transformer predicts them from the visible ones' embeddings."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from uscl_med3d.core.params.base import Section
from uscl_med3d.selfsupervised.heads import TransformerDecoder
from uscl_med3d.selfsupervised.losses import masked_error, normalise_patches
from uscl_med3d.selfsupervised.masked import Hidden, Masked, MaskedOptions


class MaeOptions(MaskedOptions):
    """Options of MAE, beside those of masked modelling: its decoder."""

    decoder_dim: int = Field(ge=1)
    decoder_depth: int = Field(ge=1)
    decoder_heads: int = Field(ge=1)


class Mae(Masked):
    """He et al. 2022: squared error of patches that are normalised each by itself.

    Two departures, which the encoder forces: a hidden patch is shown as zeros (the crop's mean grey value) instead of
    being left out, and what the encoder says of it is thrown away before the decoder. Positions are learned.
    """

    Options: ClassVar[type[Section]] = MaeOptions

    def make_decoder(self, channels: int, cells: int, voxels: int) -> nn.Module:
        """See `Masked.make_decoder`."""
        o = self.options
        return TransformerDecoder(channels, cells, voxels, o.decoder_dim, o.decoder_depth, o.decoder_heads)

    def replacement(self) -> Tensor:
        """Zeros."""
        return self.head.voxels.weight.new_zeros(self.patch**3)

    def error(self, prediction: Tensor, shown: Hidden) -> Tensor:
        """Squared error against the normalised patches."""
        return masked_error(prediction, normalise_patches(shown.patches), shown.counted, 2)

    def constant(self, shown: Hidden) -> Tensor:
        """Zero is the best constant: every counted patch has mean zero. Its error is just below 1."""
        return shown.patches.new_zeros(())


PRETEXT = Mae
