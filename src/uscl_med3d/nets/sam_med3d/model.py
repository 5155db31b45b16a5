"""The whole network."""

from __future__ import annotations

from torch import Tensor, nn

from uscl_med3d.nets.card import Preprocessing
from uscl_med3d.nets.sam_med3d.config import SamMed3DConfig
from uscl_med3d.nets.sam_med3d.image_encoder import ImageEncoder
from uscl_med3d.nets.sam_med3d.mask_decoder import MaskDecoder
from uscl_med3d.nets.sam_med3d.prompt_encoder import PromptEncoder
from uscl_med3d.nets.sam_med3d.resample import upsample_trilinear


class SamMed3D(nn.Module):
    """SAM-Med3D: promptable segmentation of a cubic volume.

    Interactive code uses the parts: encode a volume once, then `decode` it for every click.

    Args:
        config: shape of the network.
        image_encoder: another encoder in place of SAM-Med3D's own, for the same crops and embedding.

    Attributes:
        preprocessing: how the weights in it are fed, by their card. `official` weights take volumes as (x, y, z), those of
            ours as (d, h, w); `turn` brings one to the other.
    """

    def __init__(self, config: SamMed3DConfig, image_encoder: ImageEncoder | None = None) -> None:
        super().__init__()
        self.config = config
        self.preprocessing: Preprocessing = "ours"
        self.image_encoder = ImageEncoder(config) if image_encoder is None else image_encoder
        self.prompt_encoder = PromptEncoder(config)
        self.mask_decoder = MaskDecoder(config)

    def forward(
        self,
        image: Tensor,
        points: tuple[Tensor, Tensor] | None = None,
        boxes: Tensor | None = None,
        masks: Tensor | None = None,
        multimask_output: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Encode (b, 1, s, s, s) and decode; prompts as in `PromptEncoder`, results as in `MaskDecoder`."""
        return self.decode(self.image_encoder(image), points, boxes, masks, multimask_output)

    def decode(
        self,
        image_embeddings: Tensor,
        points: tuple[Tensor, Tensor] | None = None,
        boxes: Tensor | None = None,
        masks: Tensor | None = None,
        multimask_output: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Masks (b, m, 4g, 4g, 4g) and qualities (b, m) for prompts on an encoded volume."""
        sparse, dense = self.prompt_encoder(points=points, boxes=boxes, masks=masks)
        if sparse.shape[0] == 1 != image_embeddings.shape[0]:
            sparse = sparse.expand(image_embeddings.shape[0], -1, -1)
        return self.mask_decoder(
            image_embeddings=image_embeddings,
            image_pe=self.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask_output,
        )

    def turn(self, volumes: Tensor) -> Tensor:
        """(b, c, d, h, w) of this project to the axes of the weights, and back: (w, h, d) = (x, y, z), or unchanged."""
        return volumes.transpose(2, 4) if self.preprocessing == "official" else volumes

    def upsample(self, masks: Tensor) -> Tensor:
        """Low-resolution logits (b, m, 4g, 4g, 4g) to input voxels (b, m, s, s, s), trilinear as upstream."""
        return upsample_trilinear(masks, self.config.image_size)


def build_sam_med3d(config: SamMed3DConfig) -> SamMed3D:
    """A SAM-Med3D with fresh weights; see `load_checkpoint` for trained ones."""
    return SamMed3D(config)
