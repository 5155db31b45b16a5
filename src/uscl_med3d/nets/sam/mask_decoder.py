"""Mask decoder of SAM: image embedding and prompts to low-resolution mask logits and their predicted IoU."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from uscl_med3d.nets.sam_med3d.mask_decoder import MaskDecoder as MaskDecoder3D


class MaskDecoder(MaskDecoder3D):
    """Official names and arguments; SAM-Med3D took it over with one more axis, so here all is (h, w) instead of (d, h, w).

    Source: facebookresearch/segment-anything@dca509fe793f:segment_anything/modeling/mask_decoder.py
        (behaviour only).
    """

    convolution: ClassVar[type[nn.ConvTranspose3d] | type[nn.ConvTranspose2d]] = nn.ConvTranspose2d
