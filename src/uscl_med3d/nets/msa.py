"""Medical SAM Adapter (MSA): SAM with small adapters in every block, its decoder trained whole.

The released code departs from SAM in several places. Each departure that changes numbers is a switch of `Switches`;
`official` is what released weights need, `sane` what SAM does.

Source: KidsWithTokens/Medical-SAM-Adapter@4dcdc63c65c5: models/sam/modeling/, models/ImageEncoder/vit/adapter_block.py,
models/common/, function.py and utils.py (behaviour only).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uscl_med3d.nets.sam.config import PRESETS, SamConfig, VitConfig, split_architecture
from uscl_med3d.nets.sam.image_encoder import PatchEmbed
from uscl_med3d.nets.sam.layers import LayerNorm2d
from uscl_med3d.nets.sam.mask_decoder import MaskDecoder
from uscl_med3d.nets.sam.model import Sam
from uscl_med3d.nets.sam.start import start_from_sam
from uscl_med3d.nets.sam_med3d.layers import MLPBlock
from uscl_med3d.nets.sam_med3d.transformer import TwoWayBlock, TwoWayTransformer
from uscl_med3d.nets.samus.image_encoder import Adapter

Behaviour = Literal["official", "sane"]
POSITION_GRID = 64  # side of the table of positions, whatever the input's size


@dataclass(frozen=True)
class Switches:
    """Where the released code departs from SAM.

    Attributes:
        padding: `official`: windows are cut before the norm, so that padding tokens are the norm's bias; `sane`:
            after it, so that they are zero, as in SAM.
        relative_positions: `official`: SAM's tables are not loaded, because they have other names, and stay zero and
            frozen; `sane`: they are loaded.
        decoder: `official`: the two-way transformer of EfficientSAM (the first block keeps its residual, positions
            enter the stream), whose MLPs SAM's weights do not fill; `sane`: SAM's.
        masks: `official`: asked for n masks, masks 0 to n - 1 are returned; `sane`: masks 1 to n for n above 1.
        depth_groups: in 3D: `official`: `depth` consecutive entries attend to each other, in windowed blocks
            neighbouring windows, laid out never as a square; `sane`: the same place in all slices, as square as
            possible.
    """

    padding: Behaviour
    relative_positions: Behaviour
    decoder: Behaviour
    masks: Behaviour
    depth_groups: Behaviour

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) not in ("official", "sane"):
                raise ValueError(f"Switches: {field.name} must be official or sane")


RELEASED = Switches(**{field.name: "official" for field in fields(Switches)})  # type: ignore[arg-type]
SANE = Switches(**{field.name: "sane" for field in fields(Switches)})  # type: ignore[arg-type]

MSA: dict[str, Any] = PRESETS["sam_vit_b"] | {
    "bottleneck_ratio": 0.25,
    "mlp_adapter_scale": 0.5,
    "depth_adapters": True,
    "slices": None,
    **asdict(RELEASED),
}
"""The official network. `slices`: how many images of a batch are one volume's; None for images by themselves."""


class Attention(nn.Module):
    """SAM's attention on any rectangle of tokens; its tables are named `rel_h` and `rel_w`.

    A table whose length does not match is resized linearly.
    """

    def __init__(self, dim: int, heads: int, side: int) -> None:
        super().__init__()
        self.heads, head_dim = heads, dim // heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.rel_h = nn.Parameter(torch.zeros(2 * side - 1, head_dim))
        self.rel_w = nn.Parameter(torch.zeros(2 * side - 1, head_dim))

    def forward(self, x: Tensor) -> Tensor:
        """(n, h, w, dim) -> the same."""
        n, h, w, dim = x.shape
        qkv = self.qkv(x).reshape(n, h * w, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        square = q.reshape(n, self.heads, h, w, -1)
        rows = torch.einsum("nahwc,hic->nahwi", square, _offsets(self.rel_h, h))
        columns = torch.einsum("nahwc,wjc->nahwj", square, _offsets(self.rel_w, w))
        bias = (rows[..., :, None] + columns[..., None, :]).reshape(n, self.heads, h * w, h * w)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.proj(out.transpose(1, 2).reshape(n, h, w, dim))


def _offsets(table: Tensor, side: int) -> Tensor:
    """Table (2 t - 1, c) -> (side, side, c), the row of each query and key coordinate."""
    length = 2 * side - 1
    if table.shape[0] != length:
        table = F.interpolate(table.T[None], size=length, mode="linear")[0].T
    at = torch.arange(side, device=table.device)
    return table[at[:, None] - at[None] + side - 1]


class Block(nn.Module):
    """Transformer block with adapters after the attention and beside the MLP, (b, g, g, dim) -> the same."""

    def __init__(self, config: VitConfig, is_global: bool, architecture: Mapping[str, Any]) -> None:
        super().__init__()
        dim = config.embed_dim
        hidden = int(dim * architecture["bottleneck_ratio"])
        self.window = None if is_global else config.window_size
        self.scale, self.slices = architecture["mlp_adapter_scale"], architecture["slices"]
        self.padding, self.depth_groups = architecture["padding"], architecture["depth_groups"]
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, config.num_heads, self.window or config.grid)
        self.MLP_Adapter = Adapter(dim, hidden, skips=False)
        self.Space_Adapter = Adapter(dim, hidden, skips=True)
        if architecture["depth_adapters"]:
            self.Depth_Adapter = Adapter(dim, hidden, skips=False)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = MLPBlock(dim, int(dim * config.mlp_ratio), nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        batch, grid = x.shape[0], x.shape[1]
        tokens = self.norm1(x) if self.padding == "sane" else x
        tokens = tokens if self.window is None else cut_windows(tokens, self.window)
        normed = self.norm1(tokens) if self.padding == "official" else tokens
        attended = self.Space_Adapter(self.attn(normed))
        if self.slices is not None:
            attended = attended + self._along_depth(normed, batch)
        x = x + (attended if self.window is None else join_windows(attended, self.window, grid))
        normed = self.norm2(x)
        return x + self.mlp(normed) + self.scale * self.MLP_Adapter(normed)

    def _along_depth(self, tokens: Tensor, batch: int) -> Tensor:
        """Normalised tokens (n, h, w, dim): attention among the slices of a volume, then an adapter."""
        n, h, w, dim = tokens.shape
        if n % self.slices or batch % self.slices:
            raise ValueError(f"{batch} images are not a multiple of the {self.slices} slices of a volume")
        if self.depth_groups == "official":
            groups = tokens.reshape(n // self.slices, self.slices, h * w, dim).transpose(1, 2)
        else:
            windows = n // batch
            groups = tokens.reshape(batch // self.slices, self.slices, windows * h * w, dim).transpose(1, 2)
        high, wide = depth_rectangle(self.slices, self.depth_groups)
        flat = groups.reshape(-1, high, wide, dim)
        out = self.Depth_Adapter(self.attn(flat))
        return out.reshape(groups.shape).transpose(1, 2).reshape(tokens.shape)


def depth_rectangle(count: int, rule: Behaviour) -> tuple[int, int]:
    """Rows and columns on which `count` slices are laid out, as square as the rule allows."""
    largest = math.isqrt(count)
    if rule == "official" and largest**2 == count and count > 1:
        largest -= 1
    rows = next(rows for rows in range(largest, 0, -1) if count % rows == 0)
    return rows, count // rows


def cut_windows(x: Tensor, side: int) -> Tensor:
    """(b, g, g, c) -> (b * windows, side, side, c), padded with zeros."""
    b, g, _, c = x.shape
    count = -(-g // side)
    x = F.pad(x, (0, 0, 0, count * side - g, 0, count * side - g))
    return x.reshape(b, count, side, count, side, c).transpose(2, 3).reshape(-1, side, side, c)


def join_windows(x: Tensor, side: int, grid: int) -> Tensor:
    """The reverse of `cut_windows`."""
    count = -(-grid // side)
    x = x.reshape(-1, count, count, side, side, x.shape[-1]).transpose(2, 3)
    return x.reshape(x.shape[0], count * side, count * side, -1)[:, :grid, :grid]


class MsaEncoder(nn.Module):
    """(b, 3, s, s) in 0..1 -> (b, out_dim, g, g), official names."""

    def __init__(self, config: VitConfig, architecture: Mapping[str, Any]) -> None:
        super().__init__()
        self.config = config
        dim, out = config.embed_dim, config.out_dim
        self.patch_embed = PatchEmbed(config.patch_size, dim)
        self.pos_embed = nn.Parameter(torch.zeros(1, POSITION_GRID, POSITION_GRID, dim))
        self.blocks = nn.ModuleList(
            Block(config, index in config.global_blocks, architecture) for index in range(config.depth)
        )
        self.neck = nn.Sequential(
            nn.Conv2d(dim, out, kernel_size=1, bias=False),
            LayerNorm2d(out),
            nn.Conv2d(out, out, kernel_size=3, padding=1, bias=False),
            LayerNorm2d(out),
        )

    def positions(self) -> Tensor:
        """The table, resized bicubically to the grid: (1, g, g, dim)."""
        grid = (self.config.grid, self.config.grid)
        if grid == (POSITION_GRID, POSITION_GRID):
            return self.pos_embed
        table = self.pos_embed.movedim(-1, 1)
        return F.interpolate(table, size=grid, mode="bicubic", align_corners=False).movedim(1, -1)

    def forward(self, x: Tensor) -> Tensor:
        side = self.config.image_size
        if x.dim() != 4 or tuple(x.shape[1:]) != (3, side, side):
            raise ValueError(f"the encoder takes images (b, 3, {side}, {side}), got {tuple(x.shape)}")
        x = self.patch_embed(x) + self.positions()
        for block in self.blocks:
            x = block(x)
        return self.neck(x.movedim(-1, 1))


class EfficientMlp(nn.Module):
    """The MLP of EfficientSAM's decoder, (..., dim) -> the same."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Sequential(nn.Linear(dim, hidden), nn.ReLU())])
        self.fc = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.layers[0](x))


class EfficientBlock(TwoWayBlock):
    """EfficientSAM's: every block keeps the residual, and later ones add the positions to the stream."""

    def __init__(self, dim: int, heads: int, mlp_dim: int, first: bool) -> None:
        super().__init__(dim, heads, mlp_dim, first)
        self.mlp = EfficientMlp(dim, mlp_dim)  # type: ignore[assignment]

    def attend_self(self, tokens: Tensor, token_pe: Tensor) -> Tensor:
        placed = tokens if self.first else tokens + token_pe
        return placed + self.self_attn(placed, placed, placed)


class MsaDecoder(MaskDecoder):
    """SAM's decoder with the switches `decoder` and `masks`."""

    def __init__(self, config: SamConfig, switches: Switches, returned: int) -> None:
        super().__init__(config)
        self.returned, self.masks = returned, switches.masks
        if switches.decoder == "official":
            transformer: TwoWayTransformer = self.transformer
            transformer.layers = nn.ModuleList(
                EfficientBlock(
                    config.prompt_dim, config.decoder_heads, config.decoder_mlp_dim, first=index == 0
                )
                for index in range(config.decoder_depth)
            )

    def chosen(self, multimask_output: bool) -> range:
        if self.masks == "official" or self.returned == 1:
            return range(self.returned)
        return range(1, self.returned + 1)


class Msa(Sam):
    """SAM with adapters; `returned` masks come back."""

    def __init__(self, config: SamConfig, encoder: nn.Module, switches: Switches, returned: int) -> None:
        super().__init__(config, encoder)
        self.switches = switches
        self.mask_decoder = MsaDecoder(config, switches, returned)

    def forward(self, images: Tensor, points: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Low-resolution logits (b, m, 4g, 4g) and predicted IoU (b, m).

        Args:
            images: (b, 3, s, s) in 0..1. points: coordinates (b, n, 2) as (x, y) and labels (b, n); or (1, n, 2) and
                (1, n) for one prompt shared by all images. The prompt encoder gets no gradient.
        """
        embedding = self.image_encoder(images)
        batch = embedding.shape[0]
        with torch.no_grad():
            sparse, dense = self.prompt_encoder(points=points)
        return self.mask_decoder(
            image_embeddings=embedding,
            image_pe=self.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse.expand(batch, -1, -1),
            dense_prompt_embeddings=dense.expand(batch, -1, -1, -1),
        )


def build_msa(architecture: Mapping[str, Any], returned: int = 1) -> Msa:
    """An MSA with fresh weights from a flat description, see `MSA`."""
    switches = Switches(**{field.name: architecture[field.name] for field in fields(Switches)})
    sam, vit = split_architecture(architecture)
    return Msa(sam, MsaEncoder(vit, architecture), switches, returned)


def trained_names(network: Msa) -> list[str]:
    """Names of the parameters that get a gradient officially: adapters, and the whole decoder."""
    return [
        name
        for name, _ in network.named_parameters()
        if "Adapter" in name or name.startswith("mask_decoder.")
    ]


def start_msa(network: Msa, state: Mapping[str, Tensor]) -> list[str]:
    """Take over SAM's tensors as far as the switches let them through; return the names of the others."""
    switches = network.switches

    def rename(name: str) -> str | None:
        if ".rel_pos_" in name:
            return None if switches.relative_positions == "official" else name.replace(".rel_pos_", ".rel_")
        if switches.decoder == "official" and ".transformer." in name and ".mlp." in name:
            return None
        return name

    return start_from_sam(network, state, rename, left_random=())


def join_clicks(points: Tensor, labels: Tensor, rule: Behaviour) -> tuple[Tensor, Tensor]:
    """One click per image, (b, 2) and (b,), as prompts.

    Args:
        rule: `official`: one prompt that holds the clicks of all images, (1, b, 2), shared by all of them; `sane`: one
            prompt per image, (b, 1, 2).
    """
    return (points[None], labels[None]) if rule == "official" else (points[:, None], labels[:, None])


def order_click(row: int, column: int, rule: Behaviour) -> tuple[int, int]:
    """A click as the prompt encoder takes it. `official`: (row, column), where (x, y) is meant; `sane`: (x, y)."""
    return (row, column) if rule == "official" else (column, row)


def resize_logits(logits: Tensor, side: int, rule: Behaviour) -> Tensor:
    """(b, m, h, w) -> (b, m, side, side), by the nearest pixel (`official`) or bilinearly (`sane`)."""
    if rule == "official":
        return F.interpolate(logits, size=(side, side), mode="nearest")
    return F.interpolate(logits, size=(side, side), mode="bilinear", align_corners=False)
