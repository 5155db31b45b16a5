"""Mask decoder: image embedding and prompts to low-resolution mask logits and their predicted quality."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uscl_med3d.nets.sam_med3d.layers import MLP, LayerNorm3d, doubling_convolution
from uscl_med3d.nets.sam_med3d.transformer import TwoWayTransformer


class MaskDecoder(nn.Module):
    """Official names and arguments. SAM's is the same on two axes instead of three (`nets.sam.mask_decoder`).

    Args:
        config: `SamMed3DConfig`, or SAM's `SamConfig`.

    Source: uni-medical/SAM-Med3D@f3de1fa10da9:segment_anything/modeling/mask_decoder3D.py (behaviour only).
    """

    convolution: ClassVar[type[nn.ConvTranspose3d] | type[nn.ConvTranspose2d]] = nn.ConvTranspose3d

    def __init__(self, config: Any) -> None:
        super().__init__()
        dim = config.prompt_dim
        self.num_mask_tokens = config.num_multimask_outputs + 1
        self.transformer = TwoWayTransformer(
            dim, config.decoder_depth, config.decoder_heads, config.decoder_mlp_dim
        )
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(self.num_mask_tokens, dim)
        self.output_upscaling = nn.Sequential(
            self.convolution(dim, dim // 4, kernel_size=2, stride=2),
            LayerNorm3d(dim // 4),
            nn.GELU(),
            self.convolution(dim // 4, dim // 8, kernel_size=2, stride=2),
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
        multimask_output: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Predict masks.

        Args:
            image_embeddings: (b, c, g, g, g), or (1, c, g, g, g) to share one volume among b prompts.
            image_pe: (1, c, g, g, g) from `PromptEncoder.get_dense_pe`.
            sparse_prompt_embeddings: (b, t, c).
            dense_prompt_embeddings: (b, c, g, g, g).
            multimask_output: return masks 1.. instead of mask 0.

        Returns:
            mask logits (b, m, 4g, 4g, 4g) and predicted quality (b, m); m is 1, or `num_multimask_outputs`.

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
        # Contiguous, because the sum keeps the order of the embedding and every layer would copy it first.
        image = _to_tokens(image_embeddings).contiguous() + _to_tokens(dense_prompt_embeddings)
        tokens, image = self.transformer(image.expand(batch, -1, -1), _to_tokens(image_pe), tokens)

        # The masks that are not returned need neither their hyper-network nor their product with the voxels.
        chosen = self.chosen(multimask_output)
        weights = torch.stack([self.output_hypernetworks_mlps[m](tokens[:, 1 + m]) for m in chosen], 1)
        masks = self.upscale(image, weights, grid)
        quality = self.iou_prediction_head(tokens[:, 0])[:, chosen.start : chosen.stop]
        return masks, quality

    def upscale_embedding(self, embedding: Tensor, weights: Tensor) -> Tensor:
        """As `upscale`, of an embedding (b, c, g, g, g) that no prompt has touched."""
        return self.upscale(_to_tokens(embedding), weights, embedding.shape[2:])

    def chosen(self, multimask_output: bool) -> range:
        """Which of the masks are returned."""
        return range(1, self.num_mask_tokens) if multimask_output else range(1)

    def upscale(self, image: Tensor, weights: Tensor, grid: torch.Size) -> Tensor:
        """Image tokens (b, s, c) and weights (b, m, c / 8) -> logits (b, m, 4g, 4g, 4g)."""
        layers = cast(
            "tuple[nn.ConvTranspose3d, LayerNorm3d, nn.GELU, nn.ConvTranspose3d, nn.GELU]",
            self.output_upscaling,
        )
        conv1, norm, _, conv2, _ = layers
        x = F.gelu(norm.channels_last(doubling_convolution(image, conv1)))
        x = F.gelu(doubling_convolution(x, conv2)).flatten(1, -2)
        # In this order, the gradient of x comes out contiguous.
        masks = torch.bmm(x, weights.transpose(1, 2)).transpose(1, 2)
        # Voxels come as (d, h, w, first doubling, second doubling); only the masks are brought into order.
        (b, m), axes = masks.shape[:2], len(grid)
        masks = masks.reshape(b, m, *grid, *[2] * (2 * axes))
        order = [2 + part * axes + axis for axis in range(axes) for part in range(3)]
        return masks.permute(0, 1, *order).reshape(b, m, *[4 * side for side in grid])


def _to_tokens(x: Tensor) -> Tensor:
    """(b, c, d, h, w) -> (b, d * h * w, c)."""
    return x.flatten(2).transpose(1, 2)
