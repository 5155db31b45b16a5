"""The whole network: any image encoder, SAM's prompt encoder, SAM's mask decoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from uscl_med3d.nets.sam.config import SamConfig, split_architecture
from uscl_med3d.nets.sam.mask_decoder import MaskDecoder
from uscl_med3d.nets.sam.prompt_encoder import PromptEncoder


class Sam(nn.Module):
    """Promptable segmentation of a square image: encode once, then `decode` for every click.

    Args:
        config: of prompt encoder and decoder.
        image_encoder: maps normalised images (b, 3, s, s) to embeddings (b, prompt_dim, g, g); the ViT of SAM,
            the TinyViT of MobileSAM and TinySAM, or the ViT with adapters of SAM-Med2D.
    """

    def __init__(self, config: SamConfig, image_encoder: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.image_encoder = image_encoder
        self.prompt_encoder = PromptEncoder(config)
        self.mask_decoder = MaskDecoder(config)

    def decode(
        self,
        image_embeddings: Tensor,
        points: tuple[Tensor, Tensor] | None = None,
        boxes: Tensor | None = None,
        masks: Tensor | None = None,
        *,
        multimask_output: bool,
    ) -> tuple[Tensor, Tensor]:
        """Logits (b, m, 4g, 4g) and predicted IoU (b, m) for prompts, see `PromptEncoder` and `MaskDecoder`.

        Embeddings are (b, c, g, g), or (1, c, g, g) for b prompts on one image.
        """
        sparse, dense = self.prompt_encoder(points=points, boxes=boxes, masks=masks)
        return self.mask_decoder(
            image_embeddings=image_embeddings,
            image_pe=self.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask_output,
        )


def build_sam(architecture: Mapping[str, Any]) -> Sam:
    """A SAM or SAM-Med2D with fresh weights from a flat description, see `PRESETS`."""
    from uscl_med3d.nets.sam.image_encoder import ImageEncoder

    sam, vit = split_architecture(architecture)
    return Sam(sam, ImageEncoder(vit))
