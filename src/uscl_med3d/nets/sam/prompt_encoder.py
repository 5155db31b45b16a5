"""Prompt encoder of SAM: points, boxes and a previous mask to tokens and a dense embedding."""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uscl_med3d.nets.sam.config import SamConfig
from uscl_med3d.nets.sam.layers import LayerNorm2d, strided_convolution

_FIRST_CORNER = 2  # point embeddings: 0 background, 1 object, 2 and 3 the corners of a box

# What iterating over `mask_downscaling` gives.
_Layers = tuple[nn.Conv2d, LayerNorm2d, nn.GELU, nn.Conv2d, LayerNorm2d, nn.GELU, nn.Conv2d]


class RandomPositions(nn.Module):
    """Positional encoding [sin, cos] of a fixed random projection of coordinates in 0..1."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.positional_encoding_gaussian_matrix: Tensor
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, features))

    def forward(self, unit: Tensor) -> Tensor:
        """(..., 2) as (x, y) in 0..1 -> (..., 2 * features), in float32 or wider: the phases need it."""
        matrix = self.positional_encoding_gaussian_matrix
        dtype = torch.promote_types(matrix.dtype, torch.float32)
        with torch.autocast(unit.device.type, enabled=False):
            phase = (2 * math.pi) * ((2 * unit.to(dtype) - 1) @ matrix.to(dtype))
        return torch.cat([phase.sin(), phase.cos()], -1)


class PromptEncoder(nn.Module):
    """Official names and arguments.

    Source: facebookresearch/segment-anything@dca509fe793f:segment_anything/modeling/prompt_encoder.py
        (behaviour only).

    Attributes:
        image_size: side of the square input image in pixels.
        grid: cells per axis of the image embedding.
    """

    def __init__(self, config: SamConfig) -> None:
        super().__init__()
        dim, hidden = config.prompt_dim, config.mask_channels
        self.embed_dim, self.image_size, self.grid = dim, config.image_size, config.grid
        self.mask_size = config.mask_size
        self.pe_layer = RandomPositions(dim // 2)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, dim) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, dim)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, hidden // 4, kernel_size=2, stride=2),
            LayerNorm2d(hidden // 4),
            nn.GELU(),
            nn.Conv2d(hidden // 4, hidden, kernel_size=2, stride=2),
            LayerNorm2d(hidden),
            nn.GELU(),
            nn.Conv2d(hidden, dim, kernel_size=1),
        )
        self.no_mask_embed = nn.Embedding(1, dim)

    def forward(
        self,
        points: tuple[Tensor, Tensor] | None = None,
        boxes: Tensor | None = None,
        masks: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Encode prompts.

        Args:
            points: coordinates (b, n, 2) as (x, y) pixel indices of the model's input (x is the column), and
                labels (b, n): 1 object, 0 background, -1 a placeholder whose coordinates are ignored. Without a
                box one more placeholder is appended, as officially.
            boxes: (b, 4) as (x0, y0, x1, y1).
            masks: previous low-resolution masks (b, 1, m, m) with m four times the grid.

        Returns:
            sparse tokens (b, t, c) with t possibly 0, and the dense embedding (b, c, g, g). Without any prompt
            b is 1.

        Raises:
            ValueError: for wrong shapes or different batch sizes.
        """
        batch = self._check(points, boxes, masks)
        tokens = []
        if points is not None:
            coordinates, labels = points
            if boxes is None:
                coordinates = torch.cat([coordinates, coordinates.new_zeros(batch, 1, 2)], 1)
                labels = torch.cat([labels, -labels.new_ones(batch, 1)], 1)
            tokens.append(self._embed_points(coordinates, labels))
        if boxes is not None:
            corners = torch.arange(_FIRST_CORNER, _FIRST_CORNER + 2, device=boxes.device)
            tokens.append(self._embed_points(boxes.reshape(-1, 2, 2), corners.expand(batch, 2)))
        empty = self.not_a_point_embed.weight.new_empty(batch, 0, self.embed_dim)
        sparse = torch.cat(tokens, 1) if tokens else empty
        return sparse, self._embed_mask(masks, batch)

    def get_dense_pe(self) -> Tensor:
        """Positional encoding of the embedding's cells, (1, c, g, g)."""
        matrix = self.pe_layer.positional_encoding_gaussian_matrix
        dtype = torch.promote_types(matrix.dtype, torch.float32)
        cells = (torch.arange(self.grid, device=matrix.device, dtype=dtype) + 0.5) / self.grid
        y, x = torch.meshgrid(cells, cells, indexing="ij")
        return self.pe_layer(torch.stack([x, y], -1)).to(matrix.dtype).permute(2, 0, 1)[None]

    def _embed_points(self, coordinates: Tensor, labels: Tensor) -> Tensor:
        weight = self.not_a_point_embed.weight
        position = self.pe_layer((coordinates + 0.5) / self.image_size).to(weight.dtype)
        kinds = torch.cat(
            [weight, *[cast(nn.Embedding, embedding).weight for embedding in self.point_embeddings]]
        )
        return position * (labels >= 0).unsqueeze(-1) + kinds[labels.long() + 1]

    def _embed_mask(self, masks: Tensor | None, batch: int) -> Tensor:
        if masks is None:
            return self.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(batch, -1, self.grid, self.grid)
        conv1, norm1, _, conv2, norm2, _, conv3 = cast(_Layers, self.mask_downscaling)
        x = F.gelu(norm1.channels_last(strided_convolution(masks.movedim(1, -1), conv1)))
        x = F.gelu(norm2.channels_last(strided_convolution(x, conv2)))
        return F.linear(x, conv3.weight.flatten(1), conv3.bias).movedim(-1, 1)

    def _check(self, points: tuple[Tensor, Tensor] | None, boxes: Tensor | None, masks: Tensor | None) -> int:
        """The batch size of the prompts."""
        batches = {}
        if points is not None:
            coordinates, labels = points
            if coordinates.dim() != 3 or coordinates.shape[-1] != 2 or labels.shape != coordinates.shape[:2]:
                raise ValueError(
                    "points are (coordinates (b, n, 2), labels (b, n)), got "
                    f"{tuple(coordinates.shape)} and {tuple(labels.shape)}"
                )
            batches["points"] = coordinates.shape[0]
        if boxes is not None:
            if boxes.dim() != 2 or boxes.shape[-1] != 4:
                raise ValueError(f"boxes are (b, 4) = (x0, y0, x1, y1), got {tuple(boxes.shape)}")
            batches["boxes"] = boxes.shape[0]
        if masks is not None:
            side = self.mask_size
            if tuple(masks.shape[1:]) != (1, side, side):
                raise ValueError(f"mask prompts are (b, 1, {side}, {side}), got {tuple(masks.shape)}")
            batches["masks"] = masks.shape[0]
        if len(set(batches.values())) > 1:
            raise ValueError(f"prompts of different batch sizes: {batches}")
        return next(iter(batches.values()), 1)
