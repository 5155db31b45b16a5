"""SimMIM: hidden patches are replaced by a learned one; one linear layer predicts their voxels."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from uscl_med3d.core.params.base import Section
from uscl_med3d.selfsupervised.heads import LinearDecoder
from uscl_med3d.selfsupervised.losses import masked_error
from uscl_med3d.selfsupervised.masked import Hidden, Masked, MaskedOptions, visible_mean


class SimMim(Masked):
    """Xie et al. 2022: absolute error of the hidden voxels.

    The original replaces the token behind the patch embedding; here the learned patch lies before it, which is the same
    up to that linear map. A patch is hidden alone (the original hides blocks of 2 x 2 tokens).
    """

    Options: ClassVar[type[Section]] = MaskedOptions

    def make_decoder(self, channels: int, cells: int, voxels: int) -> nn.Module:
        """See `Masked.make_decoder`."""
        decoder = LinearDecoder(channels, voxels)
        decoder.register_parameter("shown", nn.Parameter(torch.zeros(voxels)))
        return decoder

    def replacement(self) -> Tensor:
        """The learned patch; zeros at the start."""
        return self.head.get_parameter("shown")

    def error(self, prediction: Tensor, shown: Hidden) -> Tensor:
        """Absolute error of the voxels."""
        return masked_error(prediction, shown.patches, shown.counted, 1)

    def constant(self, shown: Hidden) -> Tensor:
        """The mean of the crop's visible voxels."""
        return visible_mean(shown)


PRETEXT = SimMim
