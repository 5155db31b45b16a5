"""The loss against numbers worked out by hand, the official fixture, and MONAI."""

from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import load_file

from uscl_med3d.train.losses import dice_cross_entropy


def cube(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(1, 1, 1, 1, -1)


def test_hand_computed():
    logits, target = cube(0.0, 0.0), cube(1.0, 0.0)
    dice = 1 - 2 * 0.5 / (0.25 + 0.25 + 1)
    entropy = math.log(2)
    value = dice_cross_entropy(logits, target, torch.ones_like(target))
    assert float(value) == pytest.approx(dice + entropy, rel=1e-4)


def test_ignored_voxels_change_nothing_and_get_no_gradient():
    logits, target = cube(0.3, -1.0, 2.0, 5.0), cube(1.0, 0.0, 1.0, 0.0)
    counts = cube(1, 1, 1, 0)
    expected = dice_cross_entropy(logits[..., :3], target[..., :3], counts[..., :3])
    values = logits.clone().requires_grad_()
    loss = dice_cross_entropy(values, target, counts)
    loss.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert values.grad[..., 3].item() == 0 and (values.grad[..., :3] != 0).all()


def test_nothing_known_is_not_nan():
    value = dice_cross_entropy(cube(1.0), cube(0.0), cube(0.0))
    assert torch.isfinite(value)


def test_official_fixture(shared):
    tensors = load_file(shared / "reference" / "losses_and_clicks.tiny.safetensors")
    logits, truth = tensors["in/logits"], tensors["in/gt"]
    value = dice_cross_entropy(logits, truth, torch.ones_like(truth))
    assert float(value) == pytest.approx(float(tensors["ref64/sam_med3d.dice_ce_loss_monai_1_6"]), abs=1e-5)


def test_equals_monai_on_a_batch():
    from monai.losses import DiceCELoss

    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 1, 5, 6, 7, generator=generator)
    target = (torch.rand(3, 1, 5, 6, 7, generator=generator) < 0.3).float()
    expected = DiceCELoss(sigmoid=True, squared_pred=True)(logits, target)
    assert float(dice_cross_entropy(logits, target, torch.ones_like(target))) == pytest.approx(
        float(expected), abs=1e-6
    )
