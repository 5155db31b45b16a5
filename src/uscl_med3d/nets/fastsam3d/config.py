"""The shape of a FastSAM3D image encoder, with the properties of released weights as named choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from uscl_med3d.nets.sam_med3d.config import RelativePosition

Residual = Literal["normalised", "plain"]
SparseAttention = Literal["none", "segments"]
TokenOrder = Literal["permuted", "restored"]


@dataclass(frozen=True)
class FastSam3DConfig:
    """Every number and choice that fixes the encoder.

    Attributes:
        image_size, patch_size, embed_dim, depth, num_heads, mlp_ratio, prompt_dim: as in `SamMed3DConfig`.
        blocks_without_attention: the first so many blocks consist of their MLP only.
        window_size: side of an attention window in tokens; 0 lets every block attend over the whole grid.
        global_blocks: with windows, the blocks that attend over the whole grid all the same, **counted from
            the first block with attention**.
        output_every: every so many blocks, `FastSam3DEncoder.list_outputs` returns the tokens.
        residual: `normalised` adds the MLP to the normalised tokens, as all released weights need;
            `plain` adds it to the tokens themselves, as SAM-Med3D does.
        relative_position: as in `SamMed3DConfig`.
        sparse_attention: `segments` attends within `segments` interleaved sets of tokens, without relative
            positions; `none` within the grid or window.
        segments: tokens i, i + segments, i + 2 segments, ... attend to each other.
        token_order: `permuted` leaves the tokens segment by segment after every sparse attention, as the
            public code does; `restored` puts them back where they belong.

    Raises:
        ValueError: for numbers that do not fit together; the message names the fields.

    Source: arcadelab/FastSAM3D@226dfb5cdc80:segment_anything/modeling/image_encoder3D.py and
        image_encoder3D_dilatedattention.py (behaviour only).
    """

    image_size: int
    patch_size: int
    embed_dim: int
    depth: int
    num_heads: int
    mlp_ratio: float
    prompt_dim: int
    blocks_without_attention: int
    window_size: int
    global_blocks: tuple[int, ...]
    output_every: int
    residual: Residual
    relative_position: RelativePosition
    sparse_attention: SparseAttention
    segments: int
    token_order: TokenOrder

    def __post_init__(self) -> None:
        object.__setattr__(self, "global_blocks", tuple(self.global_blocks))
        complaints = [text for wrong, text in self._rules() if wrong]
        if complaints:
            raise ValueError("FastSam3DConfig: " + "; ".join(complaints))

    def _rules(self) -> list[tuple[bool, str]]:
        sparse = self.sparse_attention == "segments"
        return [
            (self.image_size % self.patch_size != 0, "image_size must be a multiple of patch_size"),
            (self.embed_dim % self.num_heads != 0, "embed_dim must be divisible by num_heads"),
            (self.output_every < 1, "output_every must be positive"),
            (
                not 0 <= self.blocks_without_attention <= self.depth,
                f"blocks_without_attention must lie in 0..{self.depth}",
            ),
            (self.residual not in ("normalised", "plain"), "residual must be 'normalised' or 'plain'"),
            (
                self.sparse_attention not in ("none", "segments"),
                "sparse_attention must be 'none' or 'segments'",
            ),
            (
                self.token_order not in ("permuted", "restored"),
                "token_order must be 'permuted' or 'restored'",
            ),
            (
                sparse and (self.segments < 1 or self.grid**3 % self.segments != 0),
                f"segments must divide the {self.grid**3} tokens",
            ),
        ]

    @property
    def grid(self) -> int:
        """Tokens per axis."""
        return self.image_size // self.patch_size

    def window_of(self, index: int) -> int:
        """Window side of a block with attention."""
        whole = self.window_size == 0 or index - self.blocks_without_attention in self.global_blocks
        return self.grid if whole else self.window_size


OFFICIAL_STUDENT = FastSam3DConfig(
    image_size=128,
    patch_size=16,
    embed_dim=768,
    depth=6,
    num_heads=6,
    mlp_ratio=4,
    prompt_dim=384,
    blocks_without_attention=2,
    window_size=0,
    global_blocks=(2, 5, 8, 11),
    output_every=2,
    residual="normalised",
    relative_position="upstream",
    sparse_attention="none",
    segments=64,
    token_order="permuted",
)
"""The student of the released file `6layers6heads_student`."""
