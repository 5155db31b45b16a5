"""The network of MobileSAM and TinySAM: SAM's prompt encoder and decoder behind a TinyViT.

The official files have the same tensors. The methods differ: asked for one mask, MobileSAM returns mask 0, as SAM
does; TinySAM's decoder knows masks 1 to 3 only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from uscl_med3d.nets.sam import OFFICIAL_DECODER, Sam, SamConfig
from uscl_med3d.nets.tiny_vit import TINY_VIT_5M, TinyViT, TinyViTConfig


def describe(sam: SamConfig, encoder: TinyViTConfig) -> dict[str, Any]:
    """What `build_mobile_sam` takes, as JSON values."""
    return {"sam": asdict(sam), "encoder": asdict(encoder)}


def build_mobile_sam(architecture: Mapping[str, Any]) -> Sam:
    """A MobileSAM or TinySAM with fresh weights.

    Raises:
        ValueError: if the encoder's embedding is not what the decoder takes; both are named.
    """
    sam, encoder = SamConfig(**architecture["sam"]), TinyViTConfig(**architecture["encoder"])
    taken = (sam.image_size, sam.grid, sam.prompt_dim)
    given = (encoder.image_size, encoder.grid, encoder.out_channels)
    if taken != given:
        raise ValueError(
            "image size, grid and channels of the decoder's embedding are "
            f"{taken}, those of the encoder's {given}: change merge_strides so that the grids agree"
        )
    return Sam(sam, TinyViT(encoder))


OFFICIAL = describe(OFFICIAL_DECODER, TINY_VIT_5M)
"""mobile_sam.pt and tinysam.pth."""
