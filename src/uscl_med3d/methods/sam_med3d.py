"""SAM-Med3D: the base model, and the baseline row of the tables.

Its relatives (LoRA, full tuning, AdaptFormer) differ in what is trained (`tuning/`), not in how a click becomes a mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.base import Section
from uscl_med3d.core.params.prompts import Prompts
from uscl_med3d.data.official_grid import window_start
from uscl_med3d.methods.base import Card, ClickMethod, Origin, Voxel, Weights, need_base, torch_device
from uscl_med3d.nets.card import Preprocessing
from uscl_med3d.nets.intensity import zscore_foreground
from uscl_med3d.nets.sam_med3d import SamMed3D, SamMed3DConfig, build_sam_med3d, load_checkpoint


@dataclass
class State:
    """Embedded crops (b, c, g, g, g), the last low-resolution logits (b, 1, 4g, 4g, 4g), their predicted IoU (b, 1)."""

    embedding: Tensor
    mask: Tensor
    quality: Tensor


class SamMed3DOptions(Section):
    """SAM-Med3D has no options beyond its base model's and its tuning's."""


class SamMed3DMethod(ClickMethod):
    """The base model with its own prompt encoder and decoder."""

    card: ClassVar[Card] = Card(
        paper="Wang et al., SAM-Med3D, 2023 (arXiv 2310.15161)",
        code="uni-medical/SAM-Med3D@f3de1fa10da9",
        licence="Apache-2.0",
        normalisation="z-score over voxels > 0 of the crop",
    )
    Options: ClassVar[type[Section]] = SamMed3DOptions
    official_clicks: ClassVar[Literal["all", "newest"]] = "all"
    network: SamMed3D

    def __init__(self, network: SamMed3D, prompts: Prompts, device: torch.device) -> None:
        self.network, self.prompts, self.device = network.to(device), prompts, device
        network.eval()

    @classmethod
    def load(cls, job: Any, weights: Weights) -> Self:
        """See `Method.load`."""
        cls.read_options(job)
        method = cls(load_base(job, need_base(weights.base)), job.prompts, torch_device(job.device))
        method.tune(job, weights)
        return method

    @property
    def preprocessing(self) -> Preprocessing:
        """By the card of the base weights."""
        return self.network.preprocessing

    def place_crop(self, first: Voxel, last: Voxel, shape: Voxel, size: int) -> Origin:
        """See `ClickMethod.place_crop`; official weights saw windows that stick out of the volume, padded with zeros."""
        if self.preprocessing == "ours":
            return super().place_crop(first, last, shape, size)
        # The window's centre is rounded along x, y, z as along d, h, w: each axis for itself.
        return window_start(first, last, size)

    def embed(self, crops: Tensor) -> Tensor:
        """See `Method.embed`; the embedding is (b, c, g, g, g)."""
        return self.network.image_encoder(self.network.turn(zscore_foreground(crops.to(self.device))))

    @property
    def upscaled_channels(self) -> int:
        """See `ClickMethod.upscaled_channels`."""
        return self.network.config.prompt_dim // 8

    def upscale(self, embedding: Tensor, weights: Tensor) -> Tensor:
        """See `ClickMethod.upscale`: by the mask decoder, on the grid of its low-resolution masks."""
        return self.network.turn(self.network.mask_decoder.upscale_embedding(embedding, weights))

    def start(self, embedding: Tensor) -> State:
        """The first prediction gets a mask prompt of zeros, as upstream in training and inference."""
        side = self.network.config.mask_size
        count = embedding.shape[0]
        return State(
            embedding, embedding.new_zeros(count, 1, side, side, side), embedding.new_zeros(count, 1)
        )

    def click(self, state: State, points: Tensor, labels: Tensor) -> Tensor:
        """See `Method.click`; the fed-back mask carries no gradient."""
        official = self.network.preprocessing == "official"
        if (self.official_clicks if official else self.prompts.clicks_given) == "newest":
            points, labels = points[:, -1:], labels[:, -1:]
        if official:
            points = points.flip(-1)
        elif self.prompts.click_axes == "hdw":
            # The grid's encoding has its first two axes swapped; swapped clicks are encoded as their cell.
            points = points[..., [1, 0, 2]]
        prompt = (points.to(self.device, torch.float32), labels.to(self.device))
        turn = self.network.turn
        low, state.quality = self.network.decode(state.embedding, prompt, masks=turn(state.mask))
        state.mask = turn(low.detach())
        return turn(self.network.upsample(low))


def load_base(job: Any, base_weights: Path) -> SamMed3D:
    """The base network of a job, fed as the card of its weights says.

    Raises:
        InputError: for weights that do not fit the job, and for official ones with clicks in another order of axes.
    """
    network = build_sam_med3d(SamMed3DConfig(**job.model.model_dump()))
    load_checkpoint(network, base_weights)
    if network.preprocessing == "official" and job.prompts.click_axes != "dhw":
        raise InputError(
            file=base_weights,
            found=f"official weights, and prompts.click_axes: {job.prompts.click_axes}",
            expected="prompts.click_axes: dhw, as official weights were trained",
            remedy="set prompts.click_axes: dhw, or take weights that were trained with the other order",
        )
    return network


METHOD = SamMed3DMethod
