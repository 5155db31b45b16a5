"""Prompt encoder: points, boxes and a previous mask to tokens and a dense embedding."""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uscl_med3d.nets.sam_med3d.config import SamMed3DConfig
from uscl_med3d.nets.sam_med3d.layers import LayerNorm3d, strided_convolution

# What iterating over `mask_downscaling` gives.
_Layers = tuple[nn.Conv3d, LayerNorm3d, nn.GELU, nn.Conv3d, LayerNorm3d, nn.GELU, nn.Conv3d]


class RandomPositions(nn.Module):
    """Positional encoding [sin, cos, sin] of a fixed random projection of coordinates in 0..1."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.positional_encoding_gaussian_matrix: Tensor
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(3, features))

    def forward(self, unit: Tensor) -> Tensor:
        """(..., 3) in 0..1 -> (..., 3 * features), in float32 or wider: the phases need it."""
        matrix = self.positional_encoding_gaussian_matrix
        dtype = torch.promote_types(matrix.dtype, torch.float32)
        with torch.autocast(unit.device.type, enabled=False):
            phase = (2 * math.pi) * ((2 * unit.to(dtype) - 1) @ matrix.to(dtype))
        return torch.cat([phase.sin(), phase.cos(), phase.sin()], -1)


class PromptEncoder(nn.Module):
    """Official names and arguments.

    Source: uni-medical/SAM-Med3D@f3de1fa10da9:segment_anything/modeling/prompt_encoder3D.py (behaviour only).

    Attributes:
        image_size: side of the input volume in voxels.
    """

    def __init__(self, config: SamMed3DConfig) -> None:
        super().__init__()
        dim, hidden = config.prompt_dim, config.mask_channels
        self.embed_dim, self.image_size, self.grid = dim, config.image_size, config.grid
        self.mask_size = config.mask_size
        self.pe_layer = RandomPositions(dim // 3)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, dim) for _ in range(2))
        self.not_a_point_embed = nn.Embedding(1, dim)
        self.mask_downscaling = nn.Sequential(
            nn.Conv3d(1, hidden // 4, kernel_size=2, stride=2),
            LayerNorm3d(hidden // 4),
            nn.GELU(),
            nn.Conv3d(hidden // 4, hidden, kernel_size=2, stride=2),
            LayerNorm3d(hidden),
            nn.GELU(),
            nn.Conv3d(hidden, dim, kernel_size=1),
        )
        self.no_mask_embed = nn.Embedding(1, dim)
        self._dense_pe: tuple[Tensor, int, Tensor] | None = None

    def forward(
        self,
        points: tuple[Tensor, Tensor] | None = None,
        boxes: Tensor | None = None,
        masks: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Encode prompts.

        Args:
            points: coordinates (b, n, 3) in (d, h, w) voxel indices and labels (b, n): 1 object, 0
                background, -1 a placeholder whose coordinates are ignored.
            boxes: (b, 6), first and last voxel (d0, h0, w0, d1, h1, w1). Upstream has no weights for boxes,
                so a box is given as what was trained: its centre as an object point, its two corners as
                background points.
            masks: previous low-resolution logits (b, 1, m, m, m) with m four times the token grid.

        Returns:
            sparse tokens (b, t, c) with t possibly 0, and the dense embedding (b, c, g, g, g). Without any
            prompt b is 1.

        Raises:
            ValueError: for wrong shapes, unknown labels, different batch sizes, or points outside the volume.
        """
        self._check(points, boxes, masks)
        sizes = [prompt.shape[0] for prompt in (points and points[0], boxes, masks) if prompt is not None]
        batch = sizes[0] if sizes else 1
        tokens = []
        if points is not None:
            coordinates, labels = points
            if boxes is None:
                coordinates = torch.cat([coordinates, coordinates.new_zeros(batch, 1, 3)], 1)
                labels = torch.cat([labels, -labels.new_ones(batch, 1)], 1)
            tokens.append(self._embed_points(coordinates, labels))
        if boxes is not None:
            tokens.append(self._embed_boxes(boxes))
        empty = self.not_a_point_embed.weight.new_empty(batch, 0, self.embed_dim)
        sparse = torch.cat(tokens, 1) if tokens else empty
        return sparse, self._embed_mask(masks, batch)

    def get_dense_pe(self) -> Tensor:
        """Positional encoding of the token grid (1, c, g, g, g), computed once per set of weights.

        Axes 0 and 1 are swapped against the point encoding, as upstream: a point at (d, h, w) has the
        encoding of grid cell (h, d, w). Released checkpoints rely on it.
        """
        matrix = self.pe_layer.positional_encoding_gaussian_matrix
        if matrix.is_inference():
            return self._encode_grid()
        known = self._dense_pe
        if known is None or known[0] is not matrix or known[1] != matrix._version:
            # An inference tensor could not take part in a later training step.
            with torch.inference_mode(False), torch.no_grad():
                known = self._dense_pe = (matrix, matrix._version, self._encode_grid())
        return known[2]

    def _encode_grid(self) -> Tensor:
        matrix = self.pe_layer.positional_encoding_gaussian_matrix
        g = self.grid
        dtype = torch.promote_types(matrix.dtype, torch.float32)
        cells = (torch.arange(g, device=matrix.device, dtype=dtype) + 0.5) / g
        d, h, w = torch.meshgrid(cells, cells, cells, indexing="ij")
        return self.pe_layer(torch.stack([h, d, w], -1)).to(matrix.dtype).movedim(-1, 0)[None]

    def _embed_points(self, coordinates: Tensor, labels: Tensor) -> Tensor:
        weight = self.not_a_point_embed.weight
        position = self.pe_layer((coordinates + 0.5) / self.image_size).to(weight.dtype)
        kinds = torch.cat(
            [weight, *[cast(nn.Embedding, embedding).weight for embedding in self.point_embeddings]]
        )
        is_point = (labels >= 0).unsqueeze(-1)
        return torch.where(is_point, position, torch.zeros_like(position)) + kinds[labels.long() + 1]

    def _embed_boxes(self, boxes: Tensor) -> Tensor:
        first, last = boxes[:, :3], boxes[:, 3:]
        corners = torch.stack([first, last, (first + last) / 2], 1)
        labels = torch.tensor([0, 0, 1], device=boxes.device).expand(boxes.shape[0], 3)
        return self._embed_points(corners, labels)

    def _embed_mask(self, masks: Tensor | None, batch: int) -> Tensor:
        if masks is None:
            return self.no_mask_embed.weight.reshape(1, -1, 1, 1, 1).expand(batch, -1, *[self.grid] * 3)
        conv1, norm1, _, conv2, norm2, _, conv3 = cast(_Layers, self.mask_downscaling)
        x = F.gelu(norm1.channels_last(strided_convolution(masks.movedim(1, -1), conv1)))
        x = F.gelu(norm2.channels_last(strided_convolution(x, conv2)))
        return F.linear(x, conv3.weight.flatten(1), conv3.bias).movedim(-1, 1)

    def _check(
        self, points: tuple[Tensor, Tensor] | None, boxes: Tensor | None, masks: Tensor | None
    ) -> None:
        batches = {}
        if points is not None:
            coordinates, labels = points
            if coordinates.dim() != 3 or coordinates.shape[-1] != 3 or labels.shape != coordinates.shape[:2]:
                raise ValueError(
                    "points are (coordinates (b, n, 3), labels (b, n)), got "
                    f"{tuple(coordinates.shape)} and {tuple(labels.shape)}"
                )
            if not torch.isin(labels, torch.tensor([-1, 0, 1], device=labels.device).to(labels.dtype)).all():
                raise ValueError("point labels are 1 (object), 0 (background) or -1 (placeholder)")
            self._check_inside(coordinates[labels >= 0], "point")
            batches["points"] = coordinates.shape[0]
        if boxes is not None:
            if boxes.dim() != 2 or boxes.shape[-1] != 6:
                raise ValueError(f"boxes are (b, 6) = (d0, h0, w0, d1, h1, w1), got {tuple(boxes.shape)}")
            if (boxes[:, :3] > boxes[:, 3:]).any():
                raise ValueError("a box has its first corner behind its last one")
            self._check_inside(boxes.reshape(-1, 3), "box corner")
            batches["boxes"] = boxes.shape[0]
        if masks is not None:
            side = self.mask_size
            if tuple(masks.shape[1:]) != (1, side, side, side):
                raise ValueError(
                    f"mask prompts are low-resolution logits (b, 1, {side}, {side}, {side}), "
                    f"got {tuple(masks.shape)}"
                )
            batches["masks"] = masks.shape[0]
        if len(set(batches.values())) > 1:
            raise ValueError(f"prompts of different batch sizes: {batches}")

    def _check_inside(self, coordinates: Tensor, what: str) -> None:
        inside = (coordinates >= -0.5) & (coordinates <= self.image_size - 0.5)
        if not inside.all():
            worst = coordinates[~inside.all(-1)][0].tolist()
            raise ValueError(
                f"a {what} (d, h, w) = {worst} lies outside the volume of side {self.image_size}; "
                "give prompts in voxel indices of the crop, not of the full scan"
            )
