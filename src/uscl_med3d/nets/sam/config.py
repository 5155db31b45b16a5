"""The shape of a SAM network: what all of its relatives share, and its ViT encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class SamConfig:
    """Prompt encoder and mask decoder: the same for SAM, MobileSAM, TinySAM and SAM-Med2D.

    Attributes:
        image_size: side of the square input in pixels.
        grid: cells per axis of the image embedding; masks of the decoder have four times as many pixels.
        prompt_dim: channels of image embedding and prompt tokens.
        mask_channels: hidden channels of the mask prompt branch.
        decoder_mlp_dim, decoder_heads, decoder_depth: the two-way transformer.
        iou_head_depth, iou_head_dim: the quality head.
        num_multimask_outputs: masks returned when several are asked for.

    Raises:
        ValueError: for numbers that do not fit together; the message names the fields.
    """

    image_size: int
    grid: int
    prompt_dim: int
    mask_channels: int
    decoder_mlp_dim: int
    decoder_heads: int
    decoder_depth: int
    iou_head_depth: int
    iou_head_dim: int
    num_multimask_outputs: int

    def __post_init__(self) -> None:
        rules = [
            (self.image_size % self.grid != 0, "image_size must be a multiple of grid"),
            (
                self.prompt_dim % 8 != 0,
                "prompt_dim must be divisible by 8 (the decoder ends at an eighth of it)",
            ),
            (
                self.prompt_dim % (2 * self.decoder_heads) != 0,
                "prompt_dim must be divisible by 2 x decoder_heads (cross attention halves the width)",
            ),
            (self.mask_channels % 4 != 0, "mask_channels must be a multiple of 4"),
        ]
        _complain("SamConfig", rules)

    @property
    def mask_size(self) -> int:
        """Side of the low-resolution masks: four times the grid."""
        return 4 * self.grid


@dataclass(frozen=True)
class VitConfig:
    """The image encoder of SAM and, with adapters, of SAM-Med2D.

    Attributes:
        image_size, patch_size: sides in pixels; the token grid has `image_size / patch_size` cells per axis.
        embed_dim, depth, num_heads, mlp_ratio: width, blocks, heads and MLP factor.
        global_blocks: indices of the blocks that attend over the whole grid; the others use windows.
        window_size: side of an attention window in tokens.
        out_dim: channels of the embedding (`SamConfig.prompt_dim`).
        adapter_ratio: hidden share of the channel gate of SAM-Med2D's adapters; None for SAM, without adapters.

    Raises:
        ValueError: for numbers that do not fit together; the message names the fields.
    """

    image_size: int
    patch_size: int
    embed_dim: int
    depth: int
    num_heads: int
    global_blocks: tuple[int, ...]
    window_size: int
    mlp_ratio: float
    out_dim: int
    adapter_ratio: float | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "global_blocks", tuple(self.global_blocks))
        rules = [
            (self.image_size % self.patch_size != 0, "image_size must be a multiple of patch_size"),
            (self.embed_dim % self.num_heads != 0, "embed_dim must be divisible by num_heads"),
            (
                any(not 0 <= index < self.depth for index in self.global_blocks),
                f"global_blocks must lie in 0..{self.depth - 1}",
            ),
            (
                self.adapter_ratio is not None and self.grid % 2 != 0,
                "with adapters the token grid must be even (they halve and double it)",
            ),
        ]
        _complain("VitConfig", rules)

    @property
    def grid(self) -> int:
        """Tokens per axis."""
        return self.image_size // self.patch_size


def split_architecture(architecture: Mapping[str, Any]) -> tuple[SamConfig, VitConfig]:
    """The two configurations of one flat description (`foundation.sam.architecture` in params.yaml)."""
    values = dict(architecture)
    values |= {"grid": values["image_size"] // values["patch_size"], "out_dim": values["prompt_dim"]}
    return (
        SamConfig(**{field.name: values[field.name] for field in fields(SamConfig)}),
        VitConfig(**{field.name: values[field.name] for field in fields(VitConfig)}),
    )


def join_architecture(sam: SamConfig, vit: VitConfig) -> dict[str, Any]:
    """The flat description that `split_architecture` reads."""
    values = asdict(sam) | asdict(vit)
    return {name: value for name, value in values.items() if name not in ("grid", "out_dim")}


def _complain(name: str, rules: list[tuple[bool, str]]) -> None:
    complaints = [text for wrong, text in rules if wrong]
    if complaints:
        raise ValueError(f"{name}: " + "; ".join(complaints))


_DECODER = {
    "prompt_dim": 256,
    "mask_channels": 16,
    "decoder_mlp_dim": 2048,
    "decoder_heads": 8,
    "decoder_depth": 2,
    "iou_head_depth": 3,
    "iou_head_dim": 256,
    "num_multimask_outputs": 3,
}
_VIT_B = _DECODER | {
    "patch_size": 16,
    "embed_dim": 768,
    "depth": 12,
    "num_heads": 12,
    "global_blocks": (2, 5, 8, 11),
    "window_size": 14,
    "mlp_ratio": 4.0,
}

PRESETS: dict[str, dict[str, Any]] = {
    "sam_vit_b": _VIT_B | {"image_size": 1024, "adapter_ratio": None},
    "sam_med2d": _VIT_B | {"image_size": 256, "adapter_ratio": 0.25},
}
"""Flat descriptions of the official networks: `sam_vit_b_01ec64.pth` and `sam-med2d_b.pth`."""

OFFICIAL_DECODER = SamConfig(image_size=1024, grid=64, **_DECODER)
"""Prompt encoder and decoder of SAM, MobileSAM and TinySAM."""
