"""Mask decoder of SAM: image embedding and prompts to low-resolution mask logits and their predicted IoU."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uscl_med3d.nets.sam.config import SamConfig
from uscl_med3d.nets.sam.layers import LayerNorm2d, doubling_convolution
from uscl_med3d.nets.sam_med3d.layers import MLP
from uscl_med3d.nets.sam_med3d.transformer import TwoWayTransformer


class MaskDecoder(nn.Module):
    """Official names and arguments; the two-way transformer is the one that SAM-Med3D took over.

    Source: facebookresearch/segment-anything@dca509fe793f:segment_anything/modeling/mask_decoder.py
        (behaviour only).
    """

    def __init__(self, config: SamConfig) -> None:
        super().__init__()
        dim = config.prompt_dim
        self.num_mask_tokens = config.num_multimask_outputs + 1
        self.transformer = TwoWayTransformer(
            dim, config.decoder_depth, config.decoder_heads, config.decoder_mlp_dim
        )
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(self.num_mask_tokens, dim)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 4, kernel_size=2, stride=2),
            LayerNorm2d(dim // 4),
            nn.GELU(),
            nn.ConvTranspose2d(dim // 4, dim // 8, kernel_size=2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            MLP(dim, dim, dim // 8, 3) for _ in range(self.num_mask_tokens)
        )
        self.iou_prediction_head = MLP(dim, config.iou_head_dim, self.num_mask_tokens, config.iou_head_depth)

    def forward(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
        multimask_output: bool,
    ) -> tuple[Tensor, Tensor]:
        """Predict masks.

        Args:
            image_embeddings: (b, c, g, g), or (1, c, g, g) to share one image among b prompts.
            image_pe: (1, c, g, g) from `PromptEncoder.get_dense_pe`.
            sparse_prompt_embeddings: (b, t, c).
            dense_prompt_embeddings: (b, c, g, g).
            multimask_output: return masks 1.. instead of mask 0.

        Returns:
            mask logits (b, m, 4g, 4g) and predicted IoU (b, m); m is 1, or `num_multimask_outputs`.

        Raises:
            ValueError: when the batch of the embeddings is neither 1 nor that of the prompts.
        """
        batch = sparse_prompt_embeddings.shape[0]
        if image_embeddings.shape[0] not in (1, batch) or dense_prompt_embeddings.shape[0] not in (1, batch):
            raise ValueError(
                f"{image_embeddings.shape[0]} image and {dense_prompt_embeddings.shape[0]} dense embeddings "
                f"for {batch} prompts: give one for all of them or one for each"
            )
        grid = image_embeddings.shape[2:]
        output_tokens = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([output_tokens.expand(batch, -1, -1), sparse_prompt_embeddings], 1)
        image = _to_tokens(image_embeddings) + _to_tokens(dense_prompt_embeddings)
        tokens, image = self.transformer(image.expand(batch, -1, -1), _to_tokens(image_pe), tokens)

        # The masks that are not returned need neither their hyper-network nor their product with the pixels.
        chosen = range(1, self.num_mask_tokens) if multimask_output else range(1)
        weights = torch.stack([self.output_hypernetworks_mlps[m](tokens[:, 1 + m]) for m in chosen], 1)
        masks = self._upscale(image, weights, grid)
        quality = self.iou_prediction_head(tokens[:, 0])[:, chosen.start : chosen.stop]
        return masks, quality

    def _upscale(self, image: Tensor, weights: Tensor, grid: torch.Size) -> Tensor:
        """Image tokens (b, s, c) and weights (b, m, c / 8) -> logits (b, m, 4g, 4g)."""
        layers = cast(
            "tuple[nn.ConvTranspose2d, LayerNorm2d, nn.GELU, nn.ConvTranspose2d, nn.GELU]",
            self.output_upscaling,
        )
        conv1, norm, _, conv2, _ = layers
        x = F.gelu(norm.channels_last(doubling_convolution(image, conv1)))
        x = F.gelu(doubling_convolution(x, conv2)).flatten(1, -2)
        masks = torch.bmm(x, weights.transpose(1, 2)).transpose(1, 2)
        # Pixels come as (h, w, first doubling, second doubling); only the masks are brought into order.
        b, m = masks.shape[:2]
        masks = masks.reshape(b, m, *grid, 2, 2, 2, 2).permute(0, 1, 2, 4, 6, 3, 5, 7)
        return masks.reshape(b, m, *[4 * side for side in grid])


def _to_tokens(x: Tensor) -> Tensor:
    """(b, c, h, w) -> (b, h * w, c)."""
    return x.flatten(2).transpose(1, 2)
