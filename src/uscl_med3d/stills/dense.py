"""Structures before clicks on single images: the encoder learns every structure of an image, pixel by pixel.

Clicks alone teach a decoder how large structures are before they teach an encoder to look. As `train/dense.py` for crops:
embedding -> the mask decoder's own upscaling -> one linear head, which is thrown away afterwards.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uscl_med3d.core.params.stills import StillDense
from uscl_med3d.methods.stills.base import Batch, ClickedMethod
from uscl_med3d.train.dense import dense_loss


class StillHead(nn.Module):
    """Embeddings (n, c, g, g) -> logits (n, 1 + classes, m, m), class 0 the background.

    Args:
        method: has a network with SAM's decoder, whose upscaling is used. classes: beside the background.
        start: biases of the head, so that "all is background" is no lesson.
    """

    def __init__(self, method: ClickedMethod, classes: int, start: StillDense) -> None:
        super().__init__()
        config = method.network.config
        self.linear = nn.Conv2d(config.prompt_dim // 8, classes + 1, 1)
        with torch.no_grad():
            bias = self.linear.bias
            assert bias is not None
            bias.fill_(start.structure_bias)
            bias[0] = start.background_bias

    def forward(self, method: ClickedMethod, embedding: Tensor) -> Tensor:
        """See the class."""
        weights = self.linear.weight.flatten(1)[None].expand(embedding.shape[0], -1, -1)
        bias = self.linear.bias
        assert bias is not None
        logits: Tensor = method.network.mask_decoder.upscale_embedding(embedding, weights)
        return logits + bias[:, None, None]


def learns_structures(method: object, trained: set[str]) -> bool:
    """Whether training changes the embedding of a clicked method: else there is nothing to see first."""
    return isinstance(method, ClickedMethod) and any(name.startswith("image_encoder.") for name in trained)


def structure_loss(method: ClickedMethod, head: StillHead, batch: Batch) -> Tensor:
    """Mean over the images of cross-entropy plus soft Dice of the structures that are there; clicks are not looked at."""
    logits = head(method, method.embed(batch.images))
    cells = F.interpolate(batch.labels[:, None].float(), size=logits.shape[-2:], mode="nearest")[:, 0].long()
    return torch.stack([dense_loss(one, cell) for one, cell in zip(logits, cells, strict=True)]).mean()
