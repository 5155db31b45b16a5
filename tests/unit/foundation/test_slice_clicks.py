"""Training by clicks in images: the best mask is learned from, and the predicted IoU from all of them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
from tiny_sam import SMALLEST

from uscl_med3d.foundation.slice_clicks import (
    SliceBatch,
    SliceClicker,
    best_mask_loss,
    click_loss,
    score_held_out,
)
from uscl_med3d.methods.sam import SamMethod
from uscl_med3d.nets.sam import build_sam

TRAINING = SimpleNamespace(
    clicks=3,
    focal_weight=1.0,
    focal_gamma=2.0,
    dice_weight=1.0,
    iou_weight=1.0,
)


def make_batch():
    torch.manual_seed(0)
    truth = torch.zeros(3, 12, 16, dtype=torch.bool)
    truth[0, 2:6, 3:8] = truth[1, 5:11, 9:14] = truth[2, 4:8, 4:8] = True
    return SliceBatch(torch.randint(0, 256, (2, 3, 12, 16)).float(), truth, torch.tensor([0, 0, 1]))


def make_method():
    torch.manual_seed(1)
    return SamMethod(build_sam(SMALLEST), SMALLEST, (0.0, 100.0), torch.device("cpu"))


def test_only_the_best_of_several_masks_is_learned_from():
    truth = make_batch().truth[:1]
    logits = torch.stack([truth[0].float() * 8 - 4, torch.zeros(12, 16), torch.ones(12, 16)])[
        None
    ].requires_grad_()
    best_mask_loss(logits, torch.zeros(1, 3), truth, TRAINING).backward()
    moved = logits.grad.abs().sum((0, 2, 3)) > 0
    assert moved.tolist() == [True, False, False]


def test_the_predicted_iou_of_every_mask_is_learned():
    truth = make_batch().truth[:1]
    full = truth[0].float() * 8 - 4
    logits, quality = torch.stack([full, -torch.ones(12, 16), torch.ones(12, 16)])[None], torch.zeros(1, 3)
    share = float(truth.float().mean())
    only_iou = SimpleNamespace(**vars(TRAINING) | {"focal_weight": 0.0, "dice_weight": 0.0})
    loss = best_mask_loss(logits, quality, truth, only_iou)
    torch.testing.assert_close(loss, torch.tensor((1 + 0 + share**2) / 3))


def test_focal_loss_without_gamma_is_cross_entropy():
    truth = make_batch().truth[:1]
    logits = torch.randn(1, 1, 12, 16)
    plain = SimpleNamespace(**vars(TRAINING) | {"focal_gamma": 0.0, "dice_weight": 0.0, "iou_weight": 0.0})
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 0], truth.float())
    torch.testing.assert_close(best_mask_loss(logits, torch.zeros(1, 1), truth, plain), expected)


def test_loss_reaches_prompts_and_decoder_and_depends_on_the_draw_only():
    losses = []
    for _ in range(2):
        method = make_method()
        loss = click_loss(method, make_batch(), 3, "random_error", TRAINING, np.random.default_rng(3))
        loss.backward()
        losses.append(float(loss.detach()))
    assert losses[0] == losses[1]
    assert all(value.grad is None for value in method.network.image_encoder.parameters())
    for part in (method.network.prompt_encoder, method.network.mask_decoder):
        assert any(value.grad is not None and value.grad.abs().sum() > 0 for value in part.parameters())


def test_a_short_training_improves_the_clicked_masks():
    method, batch = make_method(), make_batch()
    targets = SimpleNamespace(click_simulator="random_error", held_out_clicks=3)
    before = score_held_out(method, [batch], targets, (0, "test"))
    optimizer = torch.optim.AdamW(method.network.parameters(), lr=0.005)
    for step in range(40):
        optimizer.zero_grad()
        click_loss(method, batch, 3, "random_error", TRAINING, np.random.default_rng(step)).backward()
        optimizer.step()
    after = score_held_out(method, [batch], targets, (0, "test"))
    assert after["last_click_dice"] > before["last_click_dice"] + 20


def test_another_image_is_the_next_one_of_the_batch():
    method, batch = make_method(), make_batch()
    swapped = SliceBatch(batch.images.roll(1, 0), batch.truth, batch.owner)
    first = SliceClicker(method, batch, "random_error", np.random.default_rng(0), other_image=True)
    second = SliceClicker(method, swapped, "random_error", np.random.default_rng(0))
    own = SliceClicker(method, batch, "random_error", np.random.default_rng(0))
    assert torch.equal(first.state.embedding, second.state.embedding)
    assert not torch.equal(first.state.embedding, own.state.embedding)
