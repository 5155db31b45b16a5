"""Second stage of the base SAM-Med3D: prompt encoder and decoder learn clicks while the encoder stays frozen.

Several objects of each crop are clicked, so that one image has several right answers and only the click tells which.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from uscl_med3d.core.seeds import rng
from uscl_med3d.foundation.general_crops import GeneralCrops, flip_labels
from uscl_med3d.foundation.start import scale_positions, start_attention
from uscl_med3d.methods.sam_med3d import SamMed3DMethod
from uscl_med3d.nets.sam_med3d import SamMed3D
from uscl_med3d.train.clicking import ObjectBatch, draw_objects, learn_from_clicks
from uscl_med3d.train.engine import Group, Task

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
        batch = self._draw(random)
        with torch.no_grad():
            embedding = self.method.embed(torch.from_numpy(batch.images))
        last = 1 if step < settings.first_click_steps else int(random.integers(2, settings.clicks + 1))
        loss = learn_from_clicks(
            self.method,
            embedding,
            batch,
            last=last,
            at_once=1,
            simulator=self.sampling.click_simulator,
            quality_weight=settings.quality_weight,
            random=random,
        )
        return {"loss": loss}

    def evaluate(self) -> dict[str, float]:
        """See `GeneralCrops.validate_clicks`."""
        return self.crops.validate_clicks(self.method)

    def _draw(self, random: np.random.Generator) -> ObjectBatch:
        """The crops and clicked objects of one step."""
        crops = []
        for reference in self.crops.draw_references(self.settings.batch_size, random):
            image, label, _ = self.crops.source.cut_labels(reference)
            image, label = flip_labels(image, label, self.sampling.flip_probability, random)
            structures = [
                values for _, values in sorted(self.crops.cases[reference.target.case].structures.items())
            ]
            # First one that the crop was drawn for: regions may share a label.
            structures.sort(key=lambda values: reference.target.value not in values)
            crops.append((image, label, structures))
        return draw_objects(crops, self.settings.objects_per_crop, self.settings.min_object_voxels, random)
