"""First stage of the base SAM-Med3D: its encoder learns to tell structures apart, voxel by voxel.

Embedding -> the mask decoder's own upscaling -> one linear head a set -> its structures. Left and right of a pair are
one class, because crops are mirrored.

Left to itself, such a training makes the encoder constant within its first steps: "all is background" is learned
fastest as a constant through the neck's last convolution. So the heads start at the share of background that they will
find, and that convolution starts near the identity and learns slowly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from uscl_med3d.core.seeds import rng
from uscl_med3d.foundation.general_crops import GeneralCrops, flip_labels
from uscl_med3d.nets.intensity import zscore_foreground
from uscl_med3d.nets.sam_med3d import SamMed3D
from uscl_med3d.train.augment import augment
from uscl_med3d.train.crops import IGNORE, CropReference
from uscl_med3d.train.dense import DenseHead, dense_loss, majority
from uscl_med3d.train.engine import Group, Task

NAME = "foundation_sam_med3d"


class DenseLabels(Task):
    """Cross-entropy and soft Dice of every structure on the grid of the low-resolution masks."""

    def __init__(self, job: Any, network: SamMed3D, crops: GeneralCrops) -> None:
        self.seed, self.model, self.crops = job.seed, network, crops
        self.settings = job.sam_med3d.training.dense
        self.flip_probability = job.sam_med3d.training.crops.flip_probability
        self.tables = {name: class_table(crops, name) for name in sorted(crops.sets)}
        channels = network.config.prompt_dim // 8
        bias = self.settings.background_bias, self.settings.structure_bias
        self.heads = nn.ModuleDict(
            {name: DenseHead(3, channels, len(table.names), *bias) for name, table in self.tables.items()}
        )
        self._start()
        # One module of all that trains, so that state and device are one.
        self.network = nn.ModuleList(
            [network.image_encoder, network.mask_decoder.output_upscaling, self.heads]
        ).to(next(network.parameters()).device)

    def _start(self) -> None:
        neck: Any = self.model.image_encoder.neck
        with torch.no_grad():
            mix = neck[2].weight
            mix.mul_(self.settings.neck_start)
            centre = mix.shape[-1] // 2
            mix[:, :, centre, centre, centre] += torch.eye(mix.shape[0])

    def groups(self) -> list[Group]:
        """Stem, upscaling and heads learn faster, the neck's last convolution slower than the rest."""
        settings, encoder = self.settings, self.model.image_encoder
        slow = list(encoder.neck[2].parameters())
        fast = [
            *encoder.patch_embed.parameters(),
            *self.model.mask_decoder.output_upscaling.parameters(),
            *self.heads.parameters(),
        ]
        special = {id(value) for value in slow + fast}
        rest = [value for value in encoder.parameters() if id(value) not in special]
        rate = settings.learning_rate
        return [
            Group(rest, rate),
            Group(fast, rate * settings.fast_share),
            Group(slow, rate * settings.neck_share),
        ]

    def loss(self, step: int) -> Mapping[str, Tensor]:
        """Mean over the crops of one step."""
        random = rng(self.seed, NAME, "dense", step)
        references = self.crops.draw_references(self.settings.batch_size, random)
        parts = []
        for reference, logits, cells in self._predict(references, random):
            del reference
            parts.append(dense_loss(logits, cells))
        return {"loss": torch.stack(parts).mean()}

    def evaluate(self) -> dict[str, float]:
        """Dice (0..100) of the structures in the crops of validation patients: mean over sets of the mean over classes."""
        found: dict[tuple[str, int], list[float]] = {}
        crops = self.crops.validation_crops
        for start in range(0, len(crops), self.settings.batch_size):
            for reference, logits, cells in self._predict(
                crops[start : start + self.settings.batch_size], None
            ):
                name, predicted = set_of(reference), logits.argmax(0)
                known = cells != IGNORE
                for channel in torch.unique(cells[known]).tolist():
                    if channel:
                        a, b = (predicted == channel) & known, cells == channel
                        dice = 200.0 * float((a & b).sum()) / float(a.sum() + b.sum())
                        found.setdefault((name, channel), []).append(dice)
        sets: dict[str, list[float]] = {}
        for (name, _), values in found.items():
            sets.setdefault(name, []).append(float(np.mean(values)))
        return {
            "validation_dice": float(np.mean([np.mean(values) for values in sets.values()]))
            if sets
            else float("nan")
        }

    def _predict(
        self, references: list[CropReference], random: np.random.Generator | None
    ) -> list[tuple[CropReference, Tensor, Tensor]]:
        """Per crop: logits (1 + classes, m, m, m) and classes of the cells (m, m, m), 255 where ignored."""
        images, labels = [], []
        for reference in references:
            image, label, _ = self.crops.source.cut_labels(reference)
            if random is not None:
                image, label = flip_labels(image, label, self.flip_probability, random)
            images.append(image)
            labels.append(label)
        batch = zscore_foreground(torch.from_numpy(np.stack(images))[:, None])
        if random is not None:
            known = torch.from_numpy(np.stack(labels))
            batch, known = augment(batch, known, self.settings.augmentation, random)
            labels = list(known.numpy())
        device = next(self.network.parameters()).device
        embedding = self.model.image_encoder(batch.to(device))
        found = []
        for index, (reference, label) in enumerate(zip(references, labels, strict=True)):
            head = self.heads[set_of(reference)]
            logits = head(self.model.mask_decoder.upscale_embedding, embedding[index : index + 1])[0]
            table = self.tables[set_of(reference)].channel_of_value[label]
            cells = majority(table, label.shape[0] // self.model.config.mask_size, self.settings.majority)
            found.append((reference, logits, torch.from_numpy(cells).to(device)))
        return found


class ClassTable:
    """Structures of one set, left and right merged.

    Attributes:
        names: of the classes, sorted; class number is the place + 1, 0 is background.
        channel_of_value: uint8 (256,), label value -> class number; 255 stays.
    """

    def __init__(self, values: Mapping[str, int]) -> None:
        self.names = sorted({merge_sides(name) for name in values})
        self.channel_of_value = np.zeros(256, np.uint8)
        for name, value in values.items():
            self.channel_of_value[value] = 1 + self.names.index(merge_sides(name))
        self.channel_of_value[IGNORE] = IGNORE


def class_table(crops: GeneralCrops, name: str) -> ClassTable:
    """Of all training and validation cases of a set."""
    values: dict[str, int] = {}
    for key, case in crops.cases.items():
        if key.split("/")[0] == name:
            values |= case.names
    return ClassTable(values)


def merge_sides(name: str) -> str:
    """`kidney_left` and `left_kidney` -> `kidney`."""
    return "_".join(
        part for part in name.replace(" ", "_").split("_") if part.lower() not in ("left", "right")
    )


def set_of(reference: CropReference) -> str:
    """The set that a crop's case belongs to."""
    return reference.target.case.split("/")[0]
