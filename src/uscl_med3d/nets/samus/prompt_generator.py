"""AutoSAMUS: a trained SAMUS that makes its own prompt out of 50 learned object tokens.

Source: xianlin7/SAMUS@030ed07cebe4:models/segment_anything_samus_autoprompt/modeling/ (behaviour only).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uscl_med3d.nets.sam.layers import LayerNorm2d
from uscl_med3d.nets.samus.config import split_samus
from uscl_med3d.nets.samus.image_encoder import SamusEncoder
from uscl_med3d.nets.samus.model import Samus


@dataclass(frozen=True)
class GeneratorConfig:
    """The prompt generator and the feature adapter.

    Attributes:
        object_tokens: learned tokens, of which the first becomes the prompt.
        heads, head_dim: of every attention; their product need not be the width of the tokens.
        mlp_dim, depth: hidden width and layers of both exchanges.
        softmax: `official`: a one is added to the sum after the maximum has been subtracted, so that weights do
            not sum to one; `sane`: the ordinary softmax. Released weights need `official`.
    """

    object_tokens: int
    heads: int
    head_dim: int
    mlp_dim: int
    depth: int
    softmax: Literal["official", "sane"]

    def __post_init__(self) -> None:
        if self.softmax not in ("official", "sane"):
            raise ValueError(f"GeneratorConfig: softmax must be official or sane, got {self.softmax!r}")


GENERATOR = GeneratorConfig(object_tokens=50, heads=8, head_dim=64, mlp_dim=1024, depth=2, softmax="official")
"""The official generator."""


class CrossAttention(nn.Module):
    """Queries (b, t, dim) attend to (b, s, dim) -> (b, t, dim)."""

    def __init__(self, dim: int, config: GeneratorConfig) -> None:
        super().__init__()
        inner = config.heads * config.head_dim
        self.config = config
        self.to_q = nn.Linear(dim, inner, bias=False)
        self.to_kv = nn.Linear(dim, 2 * inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner, dim), nn.Identity())

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        q, k, v = (
            part.unflatten(-1, (self.config.heads, -1)).transpose(1, 2)
            for part in (self.to_q(x), *self.to_kv(other).chunk(2, -1))
        )
        logits = q @ k.transpose(-1, -2) * self.config.head_dim**-0.5
        if self.config.softmax == "official":
            raised = (logits - logits.amax(-1, keepdim=True)).exp()
            weights = raised / (1 + raised.sum(-1, keepdim=True))
        else:
            weights = logits.softmax(-1)
        return self.to_out((weights @ v).transpose(1, 2).flatten(2))


class PreNormPair(nn.Module):
    """A layer of two inputs, each with its own LayerNorm in front."""

    def __init__(self, dim: int, layer: nn.Module) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.fn = layer

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        return self.fn(self.norm1(x), self.norm2(other))


class PreNorm(nn.Module):
    """A layer with LayerNorm in front, (..., dim) -> the same."""

    def __init__(self, dim: int, layer: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fn = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.fn(self.norm(x))


class FeedForward(nn.Module):
    """Two linear layers with ReLU between them; the gaps in the names are the official dropout of 0."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(dim, hidden), nn.ReLU(), nn.Identity(), nn.Linear(hidden, dim), nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class CrossTransformer(nn.Module):
    """Two sets of tokens exchange what they hold, (b, t, dim) and (b, s, dim) -> both, updated."""

    def __init__(self, dim: int, config: GeneratorConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    PreNormPair(dim, CrossAttention(dim, config)),
                    PreNormPair(dim, CrossAttention(dim, config)),
                    PreNorm(dim, FeedForward(dim, config.mlp_dim)),
                    PreNorm(dim, FeedForward(dim, config.mlp_dim)),
                ]
            )
            for _ in range(config.depth)
        )

    def forward(self, one: Tensor, two: Tensor) -> tuple[Tensor, Tensor]:
        for layer in self.layers:
            attend_one, attend_two, feed_one, feed_two = cast(nn.ModuleList, layer)
            one, two = one + attend_one(one, two), two + attend_two(two, one)
            one, two = one + feed_one(one), two + feed_two(two)
        return one, two


class PromptGenerator(nn.Module):
    """Image embedding and the decoder's own tokens -> new image embedding and one prompt token."""

    def __init__(self, dim: int, config: GeneratorConfig) -> None:
        super().__init__()
        self.object_token = nn.Parameter(torch.randn(1, config.object_tokens, dim))
        self.cross_token_token = CrossTransformer(dim, config)
        self.token_proj = nn.Linear(dim, dim)
        self.cross_image_token = CrossTransformer(dim, config)

    def forward(self, embedding: Tensor, output_tokens: Tensor) -> tuple[Tensor, Tensor]:
        """(b, c, g, g) and (b, t, c) -> (b, c, g, g) and (b, 1, c)."""
        batch = embedding.shape[0]
        learned = self.object_token.expand(batch, -1, -1)
        exchanged, _ = self.cross_token_token(learned, output_tokens)
        objects = self.token_proj(exchanged) + learned
        image = embedding.flatten(2).transpose(1, 2)
        image, tokens = self.cross_image_token(image, torch.cat([objects, output_tokens], 1))
        return image.transpose(1, 2).reshape(embedding.shape), tokens[:, :1]


def feature_adapter(dim: int) -> nn.Sequential:
    """Image embedding -> dense prompt, (b, dim, g, g) -> the same: four convolutions, each with norm and GELU."""
    widths = (dim, dim // 4, dim // 4, dim // 4, dim)
    layers: list[nn.Module] = []
    for c_in, c_out in itertools.pairwise(widths):
        layers += [
            nn.Conv2d(c_in, c_out, kernel_size=3, padding=1, bias=False),
            LayerNorm2d(c_out),
            nn.GELU(),
        ]
    return nn.Sequential(*layers)


class AutoSamus(Samus):
    """SAMUS without clicks: only the generator and the feature adapter are trained."""

    def __init__(self, sam: Any, encoder: nn.Module, config: GeneratorConfig) -> None:
        super().__init__(sam, encoder)
        self.prompt_generator = PromptGenerator(sam.prompt_dim, config)
        self.feature_adapter = feature_adapter(sam.prompt_dim)

    def segment(self, embedding: Tensor) -> Tensor:
        """Embeddings (b, c, g, g) of the frozen encoder -> low-resolution logits (b, 1, 4g, 4g)."""
        decoder = self.mask_decoder
        tokens = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
        image, sparse = self.prompt_generator(embedding, tokens.expand(embedding.shape[0], -1, -1))
        masks, _ = decoder(
            image_embeddings=image,
            image_pe=self.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=self.feature_adapter(image),
            multimask_output=False,
        )
        return masks

    def forward(self, images: Tensor, points: object = None) -> tuple[Tensor, Tensor]:
        """Images (b, 1, s, s) in 0..1 -> logits (b, 1, 4g, 4g) and (b, 1, s, s); `points` are not used."""
        low = self.segment(self.image_encoder(images))
        side = self.config.image_size
        return low, F.interpolate(low, size=(side, side), mode="bilinear", align_corners=False)


def build_auto_samus(architecture: Mapping[str, Any], generator: GeneratorConfig) -> AutoSamus:
    """An AutoSAMUS with fresh weights."""
    sam, vit, own = split_samus(architecture)
    return AutoSamus(sam, SamusEncoder(vit, own), generator)


def generator_names(network: nn.Module) -> list[str]:
    """Names of the parameters that AutoSAMUS trains."""
    own = ("prompt_generator.", "feature_adapter.")
    return [name for name, _ in network.named_parameters() if name.startswith(own)]
