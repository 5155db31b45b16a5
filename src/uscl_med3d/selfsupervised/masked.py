"""Masked image modelling on the encoder's adapters: hide patches of a crop, and predict their voxels."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from uscl_med3d.core.reporting import COLLAPSE
from uscl_med3d.core.seeds import derive, rng
from uscl_med3d.selfsupervised.base import ImagePretext, Options, collapse, pool_grid

MEASURED = ("validation_loss", "validation_constant_loss")


class MaskedOptions(Options):
    """Options of masked modelling, beside those of all tasks: the share of a crop's patches that is hidden."""

    mask_share: float = Field(gt=0, lt=1)


class Hidden(NamedTuple):
    """Crops in patches (n, cells, voxels), which cells are hidden and which of these are counted (n, cells) bool."""

    patches: Tensor
    hidden: Tensor
    counted: Tensor


class Masked(ImagePretext):
    """Hidden patches are replaced before the encoder, so it sees every cell of its grid.

    Its windows and relative positions need the whole grid: hidden patches cannot be left out, and nothing is saved by
    hiding them. Patches of one value (outside the fan) are hidden like others but not counted: they hold nothing.
    """

    columns: ClassVar[tuple[str, ...]] = ("loss", *MEASURED, *COLLAPSE)

    def make_head(self) -> nn.Module:
        """The decoder, and the voxels that stand in place of a hidden patch."""
        model = self.job.model
        self.patch, self.grid = model.patch_size, model.image_size // model.patch_size
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(self.seed, "pretrain", "decoder"))
            return self.make_decoder(model.prompt_dim, self.grid**3, self.patch**3)

    @abstractmethod
    def make_decoder(self, channels: int, cells: int, voxels: int) -> nn.Module:
        """Maps embeddings (n, cells, channels) and hidden cells (n, cells) to (n, cells, voxels)."""

    @abstractmethod
    def replacement(self) -> Tensor:
        """What the encoder sees of a hidden patch, (voxels,)."""

    @abstractmethod
    def error(self, prediction: Tensor, shown: Hidden) -> Tensor:
        """The loss."""

    @abstractmethod
    def constant(self, shown: Hidden) -> Tensor:
        """The answer that looks at nothing but mean grey values, (n, cells, voxels) or broadcastable."""

    def loss(self, step: int) -> Mapping[str, Tensor]:
        """See `Task.loss`."""
        shown = self._hide(self.images.training(step).first, self.seed, "mask", step)
        prediction = self._predict(self._shown_crops(shown), shown)[0]
        with torch.autocast(self.device.type, enabled=False):
            return {"loss": self.error(prediction.float(), shown)}

    def evaluate(self) -> Mapping[str, float]:
        """On fixed crops and masks of validation patients: the loss, and that of an answer that looks at nothing."""
        views = self.images.validation()
        if views is None:
            return dict.fromkeys(MEASURED, math.nan) | collapse(None)
        shown = self._hide(views.first, self.job.seed, "validation mask", 0)
        prediction, _ = self._predict(self._shown_crops(shown), shown)
        constant = self.constant(shown).expand_as(shown.patches)
        values = (float(self.error(prediction, shown)), float(self.error(constant, shown)))
        whole = pool_grid(self.encode(views.first))
        return dict(zip(MEASURED, values, strict=True), **collapse(whole))

    def _hide(self, crops: Tensor, seed: int, name: str, step: int) -> Hidden:
        patches = to_patches(crops, self.patch)
        cells = patches.shape[1]
        # At least one cell is hidden and one is seen.
        count = min(max(1, round(self.options.mask_share * cells)), cells - 1)
        hidden = torch.zeros(patches.shape[:2], dtype=torch.bool)
        for place, row in enumerate(hidden):
            row[torch.from_numpy(rng(seed, "pretrain", name, step, place).permutation(cells)[:count])] = True
        hidden = hidden.to(crops.device)
        return Hidden(patches, hidden, hidden & (patches.amax(-1) > patches.amin(-1)))

    def _shown_crops(self, shown: Hidden) -> Tensor:
        patches = torch.where(shown.hidden[..., None], self.replacement(), shown.patches)
        return from_patches(patches, self.grid, self.patch)

    def _predict(self, crops: Tensor, shown: Hidden) -> tuple[Tensor, Tensor]:
        embedded = self.encode(crops) if not torch.is_grad_enabled() else self.encoder(crops)
        cells = embedded.flatten(2).transpose(1, 2)
        return self.head(cells, shown.hidden), embedded


def to_patches(crops: Tensor, patch: int) -> Tensor:
    """(n, 1, s, s, s) -> (n, cells, voxels): cells and the voxels of each with w running fastest."""
    n, side = len(crops), crops.shape[-1]
    g = side // patch
    blocks = crops.reshape(n, g, patch, g, patch, g, patch)
    return blocks.permute(0, 1, 3, 5, 2, 4, 6).reshape(n, g**3, patch**3)


def from_patches(patches: Tensor, grid: int, patch: int) -> Tensor:
    """The inverse of `to_patches`."""
    blocks = patches.reshape(len(patches), grid, grid, grid, patch, patch, patch)
    return blocks.permute(0, 1, 4, 2, 5, 3, 6).reshape(len(patches), 1, *[grid * patch] * 3)


def visible_mean(shown: Hidden) -> Tensor:
    """Mean grey value of a crop's visible patches, (n, 1, 1)."""
    seen = (~shown.hidden)[..., None].to(shown.patches.dtype)
    return ((shown.patches * seen).mean((1, 2)) / seen.mean((1, 2)))[:, None, None]
