"""Second stage of the base SAM-Med3D: prompt encoder and decoder learn clicks while the encoder stays frozen.

Several objects of each crop are clicked, so that one image has several right answers and only the click tells which.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from uscl_med3d.clicks.simulators import draw_first_click
from uscl_med3d.core.seeds import rng
from uscl_med3d.foundation.general_crops import GeneralCrops, flip_labels
from uscl_med3d.foundation.start import scale_positions, start_attention
from uscl_med3d.methods.sam_med3d import SamMed3DMethod
from uscl_med3d.nets.sam_med3d import SamMed3D
from uscl_med3d.train.clicking import add_clicks, first_clicks
from uscl_med3d.train.crops import IGNORE, Batch
from uscl_med3d.train.engine import Group, Task
from uscl_med3d.train.losses import dice_cross_entropy

NAME = "foundation_sam_med3d"


class ObjectClicks(Task):
    """Dice and cross-entropy after the first click and after one later click, whose number is drawn."""

    def __init__(self, job: Any, network: SamMed3D, crops: GeneralCrops) -> None:
        self.seed, self.model, self.crops, self.job = job.seed, network, crops, job
        self.settings, self.sampling = job.sam_med3d.training.clicks, job.sam_med3d.training.crops
        scale_positions(network, self.settings.position_scale)
        start_attention(network, self.settings.query_scale)
        network.image_encoder.requires_grad_(False)
        self.network = nn.ModuleList([network.prompt_encoder, network.mask_decoder])
        self.method = SamMed3DMethod(network, job.prompts, next(network.parameters()).device)

    def groups(self) -> list[Group]:
        """Prompt encoder and decoder."""
        return [Group(list(self.network.parameters()), self.settings.learning_rate)]

    def loss(self, step: int) -> Mapping[str, Tensor]:
        """The first steps learn from the first click only."""
        settings, random = self.settings, rng(self.seed, NAME, "objects", step)
        images, owner, batch = self._draw(random)
        with torch.no_grad():
            embedding = self.method.embed(torch.from_numpy(images))
        state = self.method.start(embedding[torch.from_numpy(owner)])
        truth = torch.from_numpy(batch.truth).to(embedding.device)
        target, counts = (truth == 1).float(), (truth != IGNORE).float()
        points, labels = first_clicks(batch)
        last = 1 if step < settings.first_click_steps else int(random.integers(2, settings.clicks + 1))
        total = torch.zeros((), device=embedding.device)
        for number in range(1, last + 1):
            learned = number in (1, last)
            with torch.set_grad_enabled(learned):
                logits = self.method.click(state, points, labels)
            if learned:
                total = total + dice_cross_entropy(logits, target, counts)
                total = total + settings.quality_weight * quality_error(state.quality, logits, target, counts)
            if number < last:
                points, labels = add_clicks(
                    points, labels, logits.detach() > 0, batch.truth, self.sampling.click_simulator, random
                )
        return {"loss": total / (2 if last > 1 else 1)}

    def evaluate(self) -> dict[str, float]:
        """See `GeneralCrops.validate_clicks`."""
        return self.crops.validate_clicks(self.method)

    def _draw(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, Batch]:
        """Crops (b, 1, s, s, s), the crop of each object (n,), and the objects with their first clicks."""
        images, owner, truths, clicks = [], [], [], []
        for place, reference in enumerate(self.crops.draw_references(self.settings.batch_size, random)):
            image, label, _ = self.crops.source.cut_labels(reference)
            image, label = flip_labels(image, label, self.sampling.flip_probability, random)
            images.append(image)
            structures = [
                values for _, values in sorted(self.crops.cases[reference.target.case].structures.items())
            ]
            order = [structures[index] for index in random.permutation(len(structures))]
            # First one that the crop was drawn for: regions may share a label.
            order.sort(key=lambda values: reference.target.value not in values)
            for index, values in enumerate(order):
                mask = np.isin(label, values)
                if index and mask.sum() < self.settings.min_object_voxels:
                    continue
                truth = mask.astype(np.uint8)
                truth[label == IGNORE] = IGNORE
                truths.append(truth)
                clicks.append(draw_first_click(mask, random)[:3])
                owner.append(place)
                if owner.count(place) == self.settings.objects_per_crop:
                    break
        batch = Batch(np.empty(0), np.stack(truths)[:, None], np.array(clicks))
        return np.stack(images)[:, None], np.array(owner), batch


def quality_error(quality: Tensor, logits: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    """Squared error of the predicted IoU (b, 1) against that of the mask with the truth; see `dice_cross_entropy`."""
    with torch.no_grad():
        found, axes = (logits > 0) * counts, (1, 2, 3, 4)
        truth = target * counts
        both = (found * truth).sum(axes)
        iou = both / (found.sum(axes) + truth.sum(axes) - both).clamp(min=1)
    return (quality[:, 0].float() - iou).square().mean()
