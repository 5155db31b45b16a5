"""TinyViT, the image encoder of MobileSAM and TinySAM, under official tensor names.

Convolutions look at fine detail first; then come transformer blocks in windows, each with a small convolution
between its attention and its MLP. Inside, images are channels-last, (b, h, w, c): there a 1x1 convolution is a
matrix product, and the permuted view that the other convolutions take is torch's fast memory format.

Source: Wu et al., TinyViT, 2022 (arXiv 2207.10666); facts of ChaoningZhang/MobileSAM@34bbbfdface3:
mobile_sam/modeling/tiny_vit_sam.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uscl_med3d.nets.sam.layers import LayerNorm2d

PATCH_STRIDE = 4  # two convolutions of stride 2


@dataclass(frozen=True)
class TinyViTConfig:
    """Every number that fixes the encoder; the first of the stages is convolutional.

    Attributes:
        image_size: side of the square input in pixels, a multiple of the total stride.
        widths, depths: channels and blocks of each stage.
        num_heads: attention heads of each stage (that of the first is not used).
        window_sizes: side of the attention windows of each stage (that of the first is not used).
        merge_strides: stride of the merging after each stage but the last. Officially (2, 2, 1): the third
            keeps the resolution.
        mlp_ratio, expand_ratio: hidden over outer channels of MLPs and of the first stage's blocks.
        local_conv_size: kernel of the convolution inside a transformer block.
        out_channels: channels of the embedding.
        num_classes: rows of the classifier that official files carry without using it; 0 for none.

    Raises:
        ValueError: for numbers that do not fit together; the message names the fields.
    """

    image_size: int
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    num_heads: tuple[int, ...]
    window_sizes: tuple[int, ...]
    merge_strides: tuple[int, ...]
    mlp_ratio: float
    expand_ratio: float
    local_conv_size: int
    out_channels: int
    num_classes: int

    def __post_init__(self) -> None:
        for name in ("widths", "depths", "num_heads", "window_sizes", "merge_strides"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        stages = len(self.widths)
        rules = {
            "depths, num_heads and window_sizes must have one entry per stage": any(
                len(values) != stages for values in (self.depths, self.num_heads, self.window_sizes)
            ),
            "merge_strides must have one entry less than widths": len(self.merge_strides) != stages - 1,
            "merge_strides must be 1 or 2": any(stride not in (1, 2) for stride in self.merge_strides),
            "widths must be even multiples of num_heads": any(
                width % heads or width % 2 for width, heads in zip(self.widths, self.num_heads, strict=False)
            ),
            f"image_size must be a multiple of {self.stride}, the total stride": self.image_size
            % self.stride,
        }
        complaints = [text for text, wrong in rules.items() if wrong]
        if complaints:
            raise ValueError("TinyViTConfig: " + "; ".join(complaints))

    @property
    def stride(self) -> int:
        """Pixels per cell of the embedding."""
        return PATCH_STRIDE * math.prod(self.merge_strides)

    @property
    def grid(self) -> int:
        """Cells of the embedding along each axis."""
        return self.image_size // self.stride


TINY_VIT_5M = TinyViTConfig(
    image_size=1024,
    widths=(64, 128, 160, 320),
    depths=(2, 2, 6, 2),
    num_heads=(2, 4, 5, 10),
    window_sizes=(7, 7, 14, 7),
    merge_strides=(2, 2, 1),
    mlp_ratio=4.0,
    expand_ratio=4.0,
    local_conv_size=3,
    out_channels=256,
    num_classes=1000,
)
"""The encoder of mobile_sam.pt and tinysam.pth."""


class ConvNorm(nn.Module):
    """Convolution without bias, then batch norm, (b, h, w, c_in) -> (b, h', w', c_out).

    In evaluation the norm is folded into the convolution's weights. That is done anew in every call: it costs
    next to nothing beside the convolution, and weights loaded later cannot meet stale folded ones.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int, groups: int = 1) -> None:
        super().__init__()
        self.c = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(c_out, eps=1e-5)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return self.bn(self.c(x.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
        conv, norm = self.c, self.bn
        assert norm.running_mean is not None and norm.running_var is not None  # as constructed
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        weight, bias = conv.weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale
        if conv.kernel_size == (1, 1):
            return F.linear(x, weight[:, :, 0, 0], bias)
        x = F.conv2d(x.permute(0, 3, 1, 2), weight, bias, conv.stride, conv.padding, groups=conv.groups)
        return x.permute(0, 2, 3, 1)


class PatchEmbed(nn.Module):
    """Two strided convolutions, (b, s, s, 3) -> (b, s/4, s/4, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(ConvNorm(3, width // 2, 3, 2), nn.GELU(), ConvNorm(width // 2, width, 3, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.seq(x)


class ConvBlock(nn.Module):
    """Widen, mix depthwise, narrow, with a residual, (b, h, w, c) -> the same."""

    def __init__(self, width: int, expand_ratio: float) -> None:
        super().__init__()
        hidden = int(width * expand_ratio)
        self.conv1 = ConvNorm(width, hidden, 1, 1)
        self.conv2 = ConvNorm(hidden, hidden, 3, 1, groups=hidden)
        self.conv3 = ConvNorm(hidden, width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(x + self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x))))))


class PatchMerging(nn.Module):
    """To the next stage's width and resolution, (b, h, w, c_in) -> (b, h/stride, w/stride, c_out)."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(c_in, c_out, 1, 1)
        self.conv2 = ConvNorm(c_out, c_out, 3, stride, groups=c_out)
        self.conv3 = ConvNorm(c_out, c_out, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x)))))


class Attention(nn.Module):
    """Attention inside one window, (windows, tokens, c) -> the same, with its own LayerNorm in front.

    The bias depends on the absolute offset of two tokens, row by row over (|dy|, |dx|). It is read from its
    table in every call; the official class keeps a copy from the moment of `.eval()`, which is wrong when
    weights are loaded after it.
    """

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.offset_index: Tensor
        self.heads = heads
        self.norm = nn.LayerNorm(width, eps=1e-5)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window**2))
        place = torch.arange(window).repeat_interleave(window), torch.arange(window).repeat(window)
        dy, dx = ((axis[:, None] - axis[None]).abs() for axis in place)
        self.register_buffer("offset_index", dy * window + dx, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        windows, tokens, width = x.shape
        # Channels of qkv are grouped by head: q, k and v of head 0, then of head 1, ...
        qkv = self.qkv(self.norm(x)).reshape(windows, tokens, self.heads, 3, width // self.heads)
        q, k, v = qkv.permute(3, 0, 2, 1, 4)
        bias = self.attention_biases[:, self.offset_index]
        if torch.is_grad_enabled():
            # Torch's fused attention gives no gradient to a bias; its fallback costs more than these lines.
            x = (q * (width // self.heads) ** -0.5 @ k.transpose(-1, -2) + bias).softmax(-1) @ v
        else:
            x = F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None])
        return self.proj(x.transpose(1, 2).reshape(windows, tokens, width))


class Mlp(nn.Module):
    """Two linear layers with LayerNorm in front, (..., c) -> the same."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-5)
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(self.norm(x))))


class Block(nn.Module):
    """Windowed attention, a depthwise convolution without residual, MLP; (b, h, w, c) -> the same."""

    def __init__(self, width: int, heads: int, window: int, mlp_ratio: float, kernel: int) -> None:
        super().__init__()
        self.window = window
        self.attn = Attention(width, heads, window)
        self.local_conv = ConvNorm(width, width, kernel, 1, groups=width)
        self.mlp = Mlp(width, int(width * mlp_ratio))

    def forward(self, x: Tensor) -> Tensor:
        x = self.local_conv(x + self._attend(x))
        return x + self.mlp(x)

    def _attend(self, x: Tensor) -> Tensor:
        b, h, w, c = x.shape
        side = self.window
        # Zeros are added before the attention's LayerNorm, so padding tokens are keys made of its bias.
        x = F.pad(x, (0, 0, 0, -w % side, 0, -h % side))
        rows, columns = x.shape[1] // side, x.shape[2] // side
        x = x.reshape(b, rows, side, columns, side, c).transpose(2, 3)
        x = self.attn(x.reshape(-1, side * side, c))
        x = x.reshape(b, rows, columns, side, side, c).transpose(2, 3)
        return x.reshape(b, rows * side, columns * side, c)[:, :h, :w]


class Stage(nn.Module):
    """Blocks of one resolution, and the way to the next."""

    def __init__(self, config: TinyViTConfig, index: int) -> None:
        super().__init__()
        width = config.widths[index]
        block = ConvBlock if index == 0 else Block
        numbers = (
            (config.expand_ratio,)
            if index == 0
            else (
                config.num_heads[index],
                config.window_sizes[index],
                config.mlp_ratio,
                config.local_conv_size,
            )
        )
        self.blocks = nn.ModuleList(block(width, *numbers) for _ in range(config.depths[index]))
        if index + 1 < len(config.widths):
            self.downsample = PatchMerging(width, config.widths[index + 1], config.merge_strides[index])

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.downsample(x) if hasattr(self, "downsample") else x


class TinyViT(nn.Module):
    """(b, 3, s, s) normalised image -> (b, out_channels, g, g) embedding.

    Raises:
        ValueError: for an image of another size than the configuration's.
    """

    def __init__(self, config: TinyViTConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = PatchEmbed(config.widths[0])
        self.layers = nn.ModuleList(Stage(config, index) for index in range(len(config.widths)))
        if config.num_classes:
            self.norm_head = nn.LayerNorm(config.widths[-1], eps=1e-5)
            self.head = nn.Linear(config.widths[-1], config.num_classes)
        out = config.out_channels
        self.neck = nn.Sequential(
            nn.Conv2d(config.widths[-1], out, kernel_size=1, bias=False),
            LayerNorm2d(out),
            nn.Conv2d(out, out, kernel_size=3, padding=1, bias=False),
            LayerNorm2d(out),
        )
        self._start()

    def forward(self, image: Tensor) -> Tensor:
        side = self.config.image_size
        if tuple(image.shape[1:]) != (3, side, side):
            raise ValueError(
                f"the encoder takes images of shape (batch, 3, {side}, {side}), got {tuple(image.shape)}"
            )
        x = self.patch_embed(image.permute(0, 2, 3, 1))
        for stage in self.layers:
            x = stage(x)
        return self.neck(x.permute(0, 3, 1, 2))

    def used_parameters(self) -> list[nn.Parameter]:
        """Parameters that the embedding depends on: all but the unused classifier's."""
        unused = ("norm_head.", "head.")
        return [value for name, value in self.named_parameters() if not name.startswith(unused)]

    @torch.no_grad()
    def _start(self) -> None:
        """Small random linear weights, as for a vision transformer trained from scratch."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
