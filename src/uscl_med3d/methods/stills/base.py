"""What every method for single images provides: a network, what of it is trained, its loss, and its masks.

Images are RGB (n, 3, h, w) with whole numbers of 0..255. Clicks are (row, column) pixels of the image, as everywhere in
this package; networks take points as (x, y).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.base import Section
from uscl_med3d.methods.base import Card
from uscl_med3d.nets.sam import Sam
from uscl_med3d.nets.sam.checkpoint import read_weights
from uscl_med3d.nets.sam.frame import Frame


@dataclass(frozen=True)
class Start:
    """What a method is built from.

    Attributes:
        image_size: side of its input. classes: names, labels from 1 in this order.
        options: of the method, unchecked. base: weights of the base SAM, or None.
    """

    image_size: int
    classes: tuple[str, ...]
    options: Mapping[str, Any]
    base: Path | None


@dataclass(frozen=True)
class Batch:
    """Training images on the square of the method.

    Attributes:
        images: (b, 3, s, s), whole numbers of 0..255. labels: integers (b, s, s).
        chosen: one label per image (b,), which `points` (b, k, 2), (row, column), and `signs` (b, k) are clicks on.
    """

    images: Tensor
    labels: Tensor
    chosen: Tensor
    points: Tensor
    signs: Tensor


class StillMethod(ABC):
    """One method, ready to train and to predict.

    Attributes:
        prompt: `clicks`: one structure at a time, by clicks; `none`: all structures at once.
        network: what is trained. architecture: what its builder takes, as JSON values; empty where weights are not kept.
    """

    card: ClassVar[Card]
    prompt: ClassVar[Literal["clicks", "none"]]
    Options: ClassVar[type[Section]]
    network: nn.Module
    architecture: Mapping[str, Any] = {}

    @classmethod
    @abstractmethod
    def build(cls, start: Start) -> StillMethod:
        """The untrained method; fresh weights come from torch's global generator."""

    @abstractmethod
    def trained_names(self) -> list[str]:
        """Names of the parameters that training changes."""

    @abstractmethod
    def loss(self, batch: Batch) -> Mapping[str, Tensor]:
        """Scalar losses of a batch; the one named `loss` is minimised."""

    def look_at(self, pictures: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:  # noqa: B027
        """See the training images and labels, uint8 (h, w) each, before training; most methods need not."""

    @classmethod
    def read_options(cls, start: Start) -> Any:
        """The options, checked. Raises `InputError`, which names the wrong keys."""
        try:
            return cls.Options.model_validate(dict(start.options))
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise InputError(
                file="params/stills.yaml, stills.methods, options",
                found=wrong,
                expected=f"the keys {', '.join(sorted(cls.Options.model_fields)) or '(none)'}",
                remedy="correct or remove the named keys",
            ) from None


class ClickedMethod(StillMethod):
    """A network that segments one structure by clicks: an image is embedded once."""

    prompt: ClassVar[Literal["clicks", "none"]] = "clicks"
    network: Any

    @abstractmethod
    def make_frame(self, size: tuple[int, int]) -> Frame:
        """How images of `size` (h, w) are fitted to the network's square."""

    @abstractmethod
    def decode(self, embedding: Tensor, points: Tensor, labels: Tensor) -> Tensor:
        """Embeddings (n, c, g, g), points (n, k, 2) as (x, y) of the square -> low-resolution logits (n, 1, m, m)."""

    def embed(self, images: Tensor) -> Tensor:
        """Images (n, 3, h, w) -> embeddings (n, c, g, g)."""
        frame = self.make_frame((images.shape[-2], images.shape[-1]))
        embedding: Tensor = self.network.image_encoder(frame.place_images(images))
        return embedding

    @property
    def upscaled_channels(self) -> int:
        """Channels that `upscale` sums up."""
        channels: int = self.network.config.prompt_dim // 8
        return channels

    def upscale(self, embedding: Tensor, weights: Tensor) -> Tensor:
        """Embeddings (n, c, g, g), without any prompt, and weights (n, k, channels) -> logits (n, k, m, m)."""
        logits: Tensor = self.network.mask_decoder.upscale_embedding(embedding, weights)
        return logits

    def click(self, embedding: Tensor, size: tuple[int, int], points: Tensor, labels: Tensor) -> Tensor:
        """Logits (n, 1, h, w) after clicks (n, k, 2) as (row, column) with labels (n, k)."""
        frame = self.make_frame(size)
        low = self.decode(embedding, frame.place_points(points.float()), labels)
        return frame.restore_masks(low)

    def low_logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Low-resolution logits (b, 1, m, m) of a training batch, and the truth there."""
        frame = self.make_frame((batch.images.shape[-2], batch.images.shape[-1]))
        low = self.decode(self.embed(batch.images), frame.place_points(batch.points.float()), batch.signs)
        truth = (batch.labels == batch.chosen[:, None, None]).float()[:, None]
        return low, F.interpolate(truth, size=low.shape[-2:], mode="nearest")


class FrozenPromptMethod(ClickedMethod):
    """A network with SAM's decoder that gives one mask, and whose prompt encoder is not trained."""

    network: Sam

    def decode(self, embedding: Tensor, points: Tensor, labels: Tensor) -> Tensor:
        """See `ClickedMethod.decode`."""
        with torch.no_grad():
            sparse, dense = self.network.prompt_encoder(points=(points, labels))
        masks, _ = self.network.mask_decoder(
            image_embeddings=embedding,
            image_pe=self.network.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        return masks


class WholeMethod(StillMethod):
    """A network that gives every pixel a class, without a prompt."""

    prompt: ClassVar[Literal["clicks", "none"]] = "none"

    @abstractmethod
    def logits(self, images: Tensor) -> Tensor:
        """Images on the square (n, 3, s, s) -> logits (n, classes + 1, m, m) at the network's own resolution."""

    @abstractmethod
    def make_frame(self, size: tuple[int, int]) -> Frame:
        """How images of `size` (h, w) are fitted to the network's square."""

    def segment(self, image: Tensor) -> np.ndarray:
        """One image (1, 3, h, w) -> labels uint8 (h, w)."""
        frame = self.make_frame((image.shape[-2], image.shape[-1]))
        logits = frame.restore_masks(self.logits(frame.place_images(image)))
        return logits[0].argmax(0).to(torch.uint8).cpu().numpy()


class StretchFrame(Frame):
    """Images are stretched to the square, bilinearly with antialiasing in 8 bits, and scaled to 0..1.

    Aspect is not kept; there is no mean and deviation: as SAMUS, SAMed and MSA are fed.
    """

    def place_images(self, images: Tensor) -> Tensor:
        from PIL import Image

        side = (self.image_size, self.image_size)
        if tuple(images.shape[-2:]) == side:
            return images.float() / 255
        pixels = images.round().clamp(0, 255).to(torch.uint8).movedim(1, -1).cpu().numpy()
        resized = [np.asarray(Image.fromarray(one).resize(side, Image.Resampling.BILINEAR)) for one in pixels]
        return torch.from_numpy(np.stack(resized)).movedim(-1, 1).to(images.device, torch.float32) / 255

    def place_points(self, points: Tensor) -> Tensor:
        scale = points.new_tensor([self.image_size / self.size[1], self.image_size / self.size[0]])
        return points.flip(-1) * scale

    def restore_masks(self, masks: Tensor) -> Tensor:
        side = (self.image_size, self.image_size)
        enlarged = F.interpolate(masks, size=side, mode="bilinear", align_corners=False)
        return F.interpolate(enlarged, size=self.size, mode="bilinear", align_corners=False)


def read_base(start: Start) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Architecture and tensors of the base SAM.

    Raises:
        ValueError: without a base.
    """
    if start.base is None:
        raise ValueError("this method starts from the weights of the base SAM")
    return read_weights(start.base, "sam")
