"""Training of one method on the images of a fold, by the common engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from uscl_med3d.core.params.stills import StillTraining
from uscl_med3d.core.seeds import Seeds, derive, rng
from uscl_med3d.methods.stills.base import Batch, ClickedMethod, StillMethod
from uscl_med3d.train.augment2d import SamusAugmentation, augment_samus
from uscl_med3d.train.dense import DenseFirst, dense_loss
from uscl_med3d.train.engine import Group, Task

Pictures = Sequence[tuple[np.ndarray, np.ndarray]]
"""Images and labels, uint8 (h, w) each, of any sizes."""


class StillTask(Task):
    """Draws augmented images with one click on one of their structures.

    Args:
        method: what is trained. pictures: of the fold. image_size: side of the method's input. rate: highest learning
            rate. seeds: master seed and names of this training's streams.
    """

    def __init__(
        self,
        method: StillMethod,
        pictures: Pictures,
        image_size: int,
        classes: int,
        training: StillTraining,
        rate: float,
        seeds: Seeds,
    ) -> None:
        self.method, self.pictures, self.classes, self.seeds = method, pictures, classes, seeds
        self.network, self.training, self.rate = method.network, training, rate
        augmentation = training.augmentation
        self.settings = SamusAugmentation(
            image_size=image_size,
            low_size=image_size,
            probability=augmentation.probability,
            gamma=augmentation.gamma,
            rotation=augmentation.rotation_deg,
            zoom=augmentation.zoom,
            contrast=augmentation.contrast,
        )
        trained = set(method.trained_names())
        for name, parameter in method.network.named_parameters():
            parameter.requires_grad_(name in trained)
        looks = any(name.startswith("image_encoder.") for name in trained)
        self.dense = DenseFirst(
            method if looks and isinstance(method, ClickedMethod) else None,
            training.dense,
            training.steps,
            dimensions=2,
            classes=classes,
            seeds=seeds,
        )

    def groups(self) -> list[Group]:
        """See `Task.groups`."""
        own = [value for value in self.network.parameters() if value.requires_grad]
        return [Group(own, self.rate), *self.dense.groups()]

    def state(self) -> dict[str, Tensor]:
        """The network, and the head of the dense steps."""
        return super().state() | self.dense.state()

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """See `Task.load_state`."""
        super().load_state(self.dense.load_state(tensors))

    def loss(self, step: int) -> Mapping[str, Tensor]:
        """Structures in the first steps of a method that learns to look, then the method's own loss after a click."""
        batch = self.draw(step)
        return {"loss": self._learn_structures(batch)} if step < self.dense.steps else self.method.loss(batch)

    def _learn_structures(self, batch: Batch) -> Tensor:
        logits = self.dense.logits(batch.images)
        cells = F.interpolate(batch.labels[:, None].float(), size=logits.shape[-2:], mode="nearest").long()
        losses = [dense_loss(one, cell[0]) for one, cell in zip(logits, cells, strict=True)]
        return torch.stack(losses).mean()

    def evaluate(self) -> Mapping[str, float]:
        """Nothing: the fold's other images are for scoring alone."""
        return {}

    def draw(self, step: int) -> Batch:
        """The batch of one step; images are drawn without repetition inside it."""
        random = rng(self.seeds[0], *self.seeds[1:], "batch", step)
        count = min(self.training.batch_size, len(self.pictures))
        chosen = random.choice(len(self.pictures), count, replace=False)
        drawn = [self._augment(int(index), step, slot) for slot, index in enumerate(chosen)]
        clicks = [draw_click(labels, self.classes, random) for _, labels in drawn]
        images = torch.from_numpy(np.stack([image for image, _ in drawn]))[:, None].expand(-1, 3, -1, -1)
        return Batch(
            images=images.mul(255).round(),
            labels=torch.from_numpy(np.stack([labels for _, labels in drawn])).long(),
            chosen=torch.tensor([label for label, _, _ in clicks]),
            points=torch.tensor([[point] for _, point, _ in clicks]).float(),
            signs=torch.tensor([[sign] for _, _, sign in clicks]),
        )

    def _augment(self, index: int, step: int, slot: int) -> tuple[np.ndarray, np.ndarray]:
        seed = derive(self.seeds[0], *self.seeds[1:], "augment", step, slot)
        generator = torch.Generator().manual_seed(seed)
        image, labels = self.pictures[index]
        image, labels, _ = augment_samus(
            image, labels, self.settings, np.random.RandomState(seed % 2**32), generator
        )
        return image, labels


def draw_click(
    labels: np.ndarray, classes: int, random: np.random.Generator
) -> tuple[int, tuple[int, int], int]:
    """A structure of the image, a pixel (row, column) of it, and 1; without any, a background pixel and 0."""
    present = [label for label in range(1, classes + 1) if (labels == label).any()]
    label = int(random.choice(present)) if present else 1
    candidates = np.flatnonzero(labels == label if present else labels == 0)
    row, column = divmod(int(random.choice(candidates)), labels.shape[1])
    return label, (row, column), int(bool(present))
