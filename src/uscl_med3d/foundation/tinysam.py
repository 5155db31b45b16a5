"""The base TinySAM: full-stage distillation from the base SAM with hard prompts, or the official weights.

As in the paper (arXiv 2312.13789), the student learns from three stages of the teacher: image embeddings, the
decoder's output tokens (both by mean squared error), and masks (focal and Dice loss). Prompts are hard: after a
first click inside the object, every further click falls where the student's mask is wrong. Masks on which the
student is behind the teacher weigh more. The decoder starts as the teacher's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from numpy.random import Generator
from torch import Tensor

from uscl_med3d.clicks.simulators import SIMULATORS, draw_first_click
from uscl_med3d.core.seeds import rng
from uscl_med3d.foundation.distillation_scenes import DistillationScenes
from uscl_med3d.foundation.slice_clicks import NO_CLICK
from uscl_med3d.foundation.students import list_encoder_parameters, train_student
from uscl_med3d.methods.slicewise import SliceState
from uscl_med3d.methods.tinysam import TinySamMethod
from uscl_med3d.nets.sam import Sam
from uscl_med3d.train import engine

NAME = "foundation_tinysam"
FOCAL_ALPHA, FOCAL_GAMMA = 0.25, 2.0  # of SAM's focal loss
FOCAL_WEIGHT = 20.0  # beside a Dice loss of weight 1, as in SAM
USED_TOKENS = (0, 2, 3, 4)  # of the decoder: IoU and masks 1 to 3; mask 0 is never asked for


def train(
    job: Any, general_dirs: Mapping[str, Path], teacher: Path | None, weights_out: Path, curve_out: Path
) -> None:
    """Write the weights of TinySAM (and a .json beside them with facts) and the learning curve.

    Args:
        job: `job.tinysam.weights` is `train`, or the path of tinysam.pth; `job.sam` describes the scenes.
        general_dirs: not read.
        teacher: weights of the base SAM; needed for `train` only.

    Raises:
        InputError: for a missing, wrong or unsuitable file, or an architecture unlike the teacher's.
    """
    train_student(
        "tinysam",
        TinySamMethod,
        FullStageDistillation,
        job,
        teacher,
        weights_out=Path(weights_out),
        curve_out=Path(curve_out),
    )


class FullStageDistillation(engine.Task):
    """Distillation of embeddings, tokens and masks. Clicks, masks and truth lie on the network's square input."""

    def __init__(self, scenes: DistillationScenes, student: TinySamMethod) -> None:
        self.scenes, self.student, self.network = scenes, student, student.network
        self.teacher, self.training = scenes.teacher, scenes.training
        self.simulate = SIMULATORS[scenes.targets.click_simulator]
        self.network.requires_grad_(False)
        for group in self.groups():
            for value in group.parameters:
                value.requires_grad_(True)

    def groups(self) -> list[engine.Group]:
        """The encoder, and the decoder where it has a rate of its own."""
        training, network = self.training, self.student.network
        groups = [engine.Group(list_encoder_parameters(network), training.learning_rate)]
        if training.decoder_learning_rate > 0:
            decoder = list(network.mask_decoder.parameters())
            groups.append(engine.Group(decoder, training.decoder_learning_rate))
        return groups

    def loss(self, step: int) -> Mapping[str, Tensor]:
        """Embedding loss alone in the first `encoder_steps` steps, all three stages after them."""
        chosen = self.scenes.draw_indices(step)
        embedding, target = self.scenes.embed(self.student.network, chosen)
        total = self.training.embedding_weight * F.mse_loss(embedding, target)
        if step >= self.training.encoder_steps:
            place, index = self._choose_objects(step, chosen)
            total = total + self._prompt(step, embedding[index], target[index], self.scenes.pool.truth[place])
        return {"loss": total}

    def evaluate(self) -> dict[str, float]:
        """See `DistillationScenes.evaluate`."""
        return self.scenes.evaluate(self.student)

    def _choose_objects(self, step: int, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """At most `masks_per_image` objects of each scene: which objects, and in which of the chosen scenes."""
        found: list[tuple[int, int]] = []
        random = rng(self.scenes.seed, NAME, "objects", step)
        for index, scene in enumerate(chosen):
            objects = (self.scenes.pool.owner == scene).nonzero()[:, 0].tolist()
            found += [
                (objects[i], index) for i in random.permutation(len(objects))[: self.training.masks_per_image]
            ]
        # A scene may have no object of the right size, but not every scene has none.
        places, indices = torch.tensor(found).unbind(1)
        return places, indices

    def _prompt(self, step: int, embedding: Tensor, target: Tensor, truth: Tensor) -> Tensor:
        """Mean over the learned clicks of token and mask losses; the other clicks go without gradient."""
        training, seeds = self.training, (self.scenes.seed, NAME)
        state = self.student.start(embedding, (truth.shape[1], truth.shape[2]))
        random = rng(*seeds, "clicks", step)
        learned = rng(*seeds, "learned clicks", step).choice(
            training.clicks, training.learned_clicks, replace=False
        )
        clicks = [[draw_first_click(mask[None], random)[1:] for mask in truth.numpy()]]
        total = embedding.new_zeros(())
        for number in range(training.clicks):
            table = torch.tensor(clicks).transpose(0, 1)
            points, labels = table[..., :2].float(), table[..., 2]
            prompt = state.mask
            with torch.set_grad_enabled(number in learned), keep_tokens(self.student.network) as tokens:
                masks, iou = self.student.decode(state, points, labels)
            if number in learned:
                expected = self._ask_teacher(replace(state, embedding=target, mask=prompt), points, labels)
                total = total + self._compare((masks, iou, tokens[0]), expected, truth, state)
            clicks.append(self._click_errors(state, masks, iou, truth, random))
        return total / training.learned_clicks

    def _click_errors(
        self, state: SliceState, masks: Tensor, iou: Tensor, truth: Tensor, random: Generator
    ) -> list[tuple[int, int, int]]:
        """Feed the chosen masks back; one click where each of them is wrong."""
        low = masks.detach()[torch.arange(len(masks)), iou.argmax(1)].unsqueeze(1)
        self.student.feed_back(state, low)
        found = (state.frame.restore_masks(low)[:, 0] > 0).cpu().numpy()
        pairs = zip(found, truth.numpy(), strict=True)
        clicks = (self.simulate(one[None], mask[None], random) for one, mask in pairs)
        return [click[1:] if click else NO_CLICK for click in clicks]

    @torch.no_grad()
    def _ask_teacher(self, state: SliceState, points: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """What the teacher answers to the student's prompts: masks (b, m, 4g, 4g) and tokens (b, 4, c).

        By its own rule: three masks after the first click, one after later clicks.
        """
        with keep_tokens(self.teacher.network) as tokens:
            masks, _ = self.teacher.decode(state, points, labels)
        return masks, tokens[0]

    def _compare(
        self,
        found: tuple[Tensor, Tensor, Tensor],
        expected: tuple[Tensor, Tensor],
        truth: Tensor,
        state: SliceState,
    ) -> Tensor:
        """Where the teacher gives three masks, each of the student's learns from its own, as do the tokens.

        Where it gives one, the student's best mask learns from it: it has no mask 0, so tokens do not match.
        """
        training, (masks, iou, tokens), (teacher_masks, teacher_tokens) = self.training, found, expected
        truth = truth.to(masks.device)
        with torch.no_grad():
            reached = overlap(state.frame.restore_masks(masks) > 0, truth)
            possible = overlap(state.frame.restore_masks(teacher_masks) > 0, truth)
            weight = weigh_hard_masks(reached, possible, training.hard_mask_limit)
        mask_loss = weight * compare_masks(masks, (teacher_masks > 0).float().expand_as(masks))
        total = training.iou_weight * F.mse_loss(iou, reached)
        if teacher_masks.shape[1] == 1:
            return total + training.mask_weight * mask_loss.min(1).values.mean()
        token_loss = F.mse_loss(tokens, teacher_tokens)
        return total + training.mask_weight * mask_loss.mean() + training.token_weight * token_loss


@contextmanager
def keep_tokens(network: Sam) -> Iterator[list[Tensor]]:
    """Within the context, the used output tokens (b, 4, c) of each decoding are appended to the list."""
    kept: list[Tensor] = []
    handle = network.mask_decoder.transformer.register_forward_hook(
        lambda module, inputs, output: kept.append(output[0][:, USED_TOKENS])
    )
    try:
        yield kept
    finally:
        handle.remove()


def overlap(masks: Tensor, truth: Tensor) -> Tensor:
    """IoU (b, m) of boolean masks (b, m, h, w) with one truth (b, h, w) each."""
    both = (masks & truth[:, None]).flatten(2).sum(2)
    either = (masks | truth[:, None]).flatten(2).sum(2)
    return both / either.clamp_min(1)


def weigh_hard_masks(student: Tensor, teacher: Tensor, limit: float) -> Tensor:
    """exp(teacher's IoU / student's IoU - 1), between 1 and `limit`: masks that the student still has to learn."""
    return torch.exp((teacher / student.clamp_min(1e-3) - 1).clamp(0, 10)).clamp_max(limit)


def compare_masks(logits: Tensor, target: Tensor) -> Tensor:
    """SAM's loss per mask, (b, m, h, w) -> (b, m): 20 x focal loss + Dice loss.

    Source: Kirillov et al., Segment Anything, appendix A.
    """
    probability = logits.sigmoid()
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    right = torch.where(target > 0, probability, 1 - probability)
    alpha = torch.where(target > 0, FOCAL_ALPHA, 1 - FOCAL_ALPHA)
    focal = (alpha * (1 - right) ** FOCAL_GAMMA * entropy).flatten(2).mean(2)
    both = (probability * target).flatten(2).sum(2)
    dice = 1 - (2 * both + 1) / (probability.flatten(2).sum(2) + target.flatten(2).sum(2) + 1)
    return FOCAL_WEIGHT * focal + dice
