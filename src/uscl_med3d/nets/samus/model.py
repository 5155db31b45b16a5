"""SAMUS: SAM with its own encoder; what of it is trained, and how it starts from SAM's weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from uscl_med3d.nets.sam.model import Sam
from uscl_med3d.nets.sam.start import start_from_sam
from uscl_med3d.nets.samus.config import split_samus
from uscl_med3d.nets.samus.image_encoder import SamusEncoder


class Samus(Sam):
    """SAM's prompt encoder and mask decoder behind the encoder of SAMUS."""

    def forward(self, images: Tensor, points: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """As the official trainer calls it.

        Args:
            images: (b, 1, s, s) in 0..1.
            points: coordinates (b, n, 2) as (x, y) pixels of the image and labels (b, n); or (b, k, n, 2) and
                (b, k, n) for k prompts on one image, each decoded by itself.

        Returns:
            low-resolution logits (b, k, 4g, 4g), and the same enlarged to (b, k, s, s); k is 1 for one prompt.
        """
        embedding = self.image_encoder(images)
        coordinates, labels = points
        if coordinates.dim() == 3:
            coordinates, labels = coordinates[:, None], labels[:, None]
        low = torch.cat(
            [
                self.decode(embedding, points=(coordinates[:, k], labels[:, k]), multimask_output=False)[0]
                for k in range(coordinates.shape[1])
            ],
            1,
        )
        side = self.config.image_size
        return low, F.interpolate(low, size=(side, side), mode="bilinear", align_corners=False)


def build_samus(architecture: Mapping[str, Any]) -> Samus:
    """A SAMUS with fresh weights from a flat description, see `config.SAMUS`."""
    sam, vit, own = split_samus(architecture)
    return Samus(sam, SamusEncoder(vit, own))


def trained_names(network: Samus) -> list[str]:
    """Names of the parameters that SAMUS trains: its own components and the global tables; the rest is SAM's.

    Officially the global blocks are found by the digits 2, 5, 8 and 11 in the names; at full size that is the
    same choice.
    """
    own = ("cnn_embed", "post_pos_embed", "Adapter")
    blocks = cast(SamusEncoder, network.image_encoder).config.global_blocks
    tables = tuple(f"image_encoder.blocks.{index}.attn.rel_pos" for index in blocks)
    return [
        name
        for name, _ in network.named_parameters()
        if name.startswith("image_encoder.")
        and (any(part in name for part in own) or name.startswith(tables))
    ]


def start_samus(network: Samus, state: Mapping[str, Tensor]) -> list[str]:
    """Take over SAM's tensors; return the names of those that keep their random start.

    The tables of the global blocks are resized to the smaller grid; the table of positions keeps its size, unless
    the network has no position adapter.

    Raises:
        ValueError: for a SAM of another width.
    """
    return start_from_sam(network, state, rename=lambda name: name, left_random=())
