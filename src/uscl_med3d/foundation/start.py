"""How prompt encoder and decoder of a network that is trained here start, so that clicks are tied to their place at once."""

from __future__ import annotations

from typing import Any

import torch

from uscl_med3d.nets.sam import Sam
from uscl_med3d.nets.sam_med3d import SamMed3D


def scale_positions(network: SamMed3D | Sam, scale: float) -> None:
    """Lower the spatial frequencies of the random position encoding, in place.

    Two positions resemble each other within about 0.08 / scale of the crop's side: the width of the kernel of
    random Fourier features. Officially (scale 1) that is 0.6 cells of an 8-cell grid, but only 0.4 of a
    5-cell one, where a click looks unlike the very cell it lies in, and a short training does not learn where
    clicks are.
    """
    with torch.no_grad():
        network.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix.mul_(scale)


def start_attention(network: SamMed3D | Sam, scale: float) -> None:
    """Start every cross-attention of the decoder looking for what resembles it, in place.

    Queries get `scale` times their weights and keys are a copy of the queries, so that a click attends to the cells at
    its own position before anything is learned.
    """
    with torch.no_grad():
        module: Any
        for name, module in network.mask_decoder.transformer.named_modules():
            if name.split(".")[-1].startswith(("cross_attn", "final_attn")):
                module.q_proj.weight.mul_(scale)
                module.q_proj.bias.mul_(scale)
                module.k_proj.load_state_dict(module.q_proj.state_dict())
