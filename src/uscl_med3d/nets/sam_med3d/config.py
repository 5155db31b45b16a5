"""The shape of a SAM-Med3D network, and its named presets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

RelativePosition = Literal["upstream", "decomposed"]


@dataclass(frozen=True)
class SamMed3DConfig:
    """Every number that fixes the network.

    Attributes:
        image_size: side of the cubic input in voxels.
        patch_size: side of a cubic patch; the token grid has `image_size / patch_size` cells per axis.
        embed_dim, depth, num_heads, mlp_ratio: width, blocks, heads and MLP factor of the encoder.
        global_blocks: indices of the blocks that attend over the whole grid; the others use windows.
        window_size: side of an attention window in tokens. It may exceed the grid, as in every official
            checkpoint.
        prompt_dim: channels of image embedding and prompt tokens; divisible by 3 for the positional encoding.
        mask_channels: hidden channels of the mask prompt branch.
        decoder_mlp_dim, decoder_heads, decoder_depth: the two-way transformer.
        iou_head_depth, iou_head_dim: the quality head.
        num_multimask_outputs: masks returned when several are asked for.
        relative_position: `upstream` computes the relative-position term the way released checkpoints were
            trained, `decomposed` is the textbook form, for models trained from scratch.

    Raises:
        ValueError: for numbers that do not fit together; the message names the fields.

    Source: uni-medical/SAM-Med3D@f3de1fa10da9:segment_anything/build_sam3D.py (numbers of the presets).
    """

    image_size: int
    patch_size: int
    embed_dim: int
    depth: int
    num_heads: int
    global_blocks: tuple[int, ...]
    window_size: int
    mlp_ratio: float
    prompt_dim: int
    mask_channels: int
    decoder_mlp_dim: int
    decoder_heads: int
    decoder_depth: int
    iou_head_depth: int
    iou_head_dim: int
    num_multimask_outputs: int
    relative_position: RelativePosition

    def __post_init__(self) -> None:
        object.__setattr__(self, "global_blocks", tuple(self.global_blocks))
        complaints = [text for wrong, text in self._rules() if wrong]
        if complaints:
            raise ValueError("SamMed3DConfig: " + "; ".join(complaints))

    def _rules(self) -> list[tuple[bool, str]]:
        counts = (
            "image_size patch_size embed_dim depth num_heads window_size mlp_ratio prompt_dim "
            "decoder_mlp_dim decoder_heads decoder_depth iou_head_depth iou_head_dim num_multimask_outputs"
        )
        rules = [(getattr(self, name) <= 0, f"{name} must be positive") for name in counts.split()]
        if any(wrong for wrong, _ in rules):
            return rules
        return [
            (self.image_size % self.patch_size != 0, "image_size must be a multiple of patch_size"),
            (self.embed_dim % self.num_heads != 0, "embed_dim must be divisible by num_heads"),
            (
                self.prompt_dim % 3 != 0,
                "prompt_dim must be divisible by 3 (the positional encoding has three parts)",
            ),
            (
                self.prompt_dim % 8 != 0,
                "prompt_dim must be divisible by 8 (the mask decoder ends at an eighth of it)",
            ),
            (
                self.prompt_dim % (2 * self.decoder_heads) != 0,
                "prompt_dim must be divisible by 2 x decoder_heads (cross attention halves the width)",
            ),
            (
                self.mask_channels % 4 != 0 or self.mask_channels <= 0,
                "mask_channels must be a positive multiple of 4",
            ),
            (
                any(not 0 <= index < self.depth for index in self.global_blocks),
                f"global_blocks must lie in 0..{self.depth - 1}",
            ),
            (
                self.relative_position not in ("upstream", "decomposed"),
                "relative_position must be 'upstream' or 'decomposed'",
            ),
        ]

    @property
    def grid(self) -> int:
        """Tokens per axis."""
        return self.image_size // self.patch_size

    @property
    def mask_size(self) -> int:
        """Side of the low-resolution masks: four times the token grid."""
        return 4 * self.grid


_VIT_B_ORI = SamMed3DConfig(
    image_size=128,
    patch_size=16,
    embed_dim=768,
    depth=12,
    num_heads=12,
    global_blocks=(2, 5, 8, 11),
    window_size=14,
    mlp_ratio=4,
    prompt_dim=384,
    mask_channels=16,
    decoder_mlp_dim=2048,
    decoder_heads=8,
    decoder_depth=2,
    iou_head_depth=3,
    iou_head_dim=256,
    num_multimask_outputs=3,
    relative_position="upstream",
)

_PHANTOM = replace(
    _VIT_B_ORI,
    image_size=48,
    patch_size=8,
    embed_dim=192,
    depth=4,
    num_heads=6,
    global_blocks=(1, 3),
    prompt_dim=192,
    decoder_mlp_dim=512,
    iou_head_dim=192,
)

PRESETS: dict[str, SamMed3DConfig] = {
    "vit_b_ori": _VIT_B_ORI,
    "phantom": _PHANTOM,
    "smoke": replace(
        _PHANTOM,
        image_size=24,
        embed_dim=48,
        depth=2,
        num_heads=3,
        global_blocks=(1,),
        prompt_dim=48,
        decoder_mlp_dim=64,
        iou_head_dim=32,
    ),
}
"""`vit_b_ori` is the variant of `sam_med3d_turbo.pth`; `phantom` and `smoke` are small, for CPU scales."""
