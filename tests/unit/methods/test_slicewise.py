"""What the slice-wise methods share, and what sets SAM-Med2D apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_sam import SMALLEST

from uscl_med3d.methods.sam import SamMethod
from uscl_med3d.methods.sam_med2d import SamMed2DMethod
from uscl_med3d.methods.slicewise import grey_to_rgb

SIZE = (12, 20)


def make_method(kind):
    torch.manual_seed(2)
    extra = {"adapter_ratio": 0.5, "small_slices": "pad"} if kind is SamMed2DMethod else {}
    architecture = SMALLEST | extra
    return kind(kind.build(architecture), architecture, (1.0, 99.0), torch.device("cpu"))


def test_percentiles_of_the_foreground_become_black_and_white():
    volume = torch.zeros(4, 10, 10)
    volume[1:3] = torch.linspace(1, 200, 200).reshape(2, 10, 10)
    volume[3] = -500.0
    images = grey_to_rgb(volume, (10.0, 90.0))
    low, high = np.percentile(np.arange(1, 201), (10, 90))
    expected = np.round(np.clip((volume.numpy() - low) / (high - low), 0, 1) * 255)
    assert images.shape == (4, 3, 10, 10)
    np.testing.assert_allclose(images[:, 0].numpy(), expected, atol=1)
    assert torch.equal(images[:, 0], images[:, 2])
    assert not images[0].any() and not images[3].any()


def test_an_empty_volume_is_black():
    assert not grey_to_rgb(torch.zeros(2, 4, 4), (1.0, 99.0)).any()


@pytest.mark.parametrize("kind", [SamMethod, SamMed2DMethod])
def test_clicks_give_masks_on_the_slices_and_no_click_changes_nothing(kind):
    method = make_method(kind)
    images = method.prepare(torch.rand(3, *SIZE) * 100)
    points, labels = torch.tensor([[[5.0, 7.0]]] * 3), torch.ones(3, 1, dtype=torch.long)
    with torch.inference_mode():
        logits = method.click(method.start(method.embed(images), SIZE), points, labels)
        alone = method.click(method.start(method.embed(images[1:2]), SIZE), points[:1], labels[:1])
    assert logits.shape == (3, 1, *SIZE)
    torch.testing.assert_close(logits[1:2], alone, atol=1e-5, rtol=1e-4)
    far = torch.cat([points, torch.tensor([[[11.0, 19.0]]] * 3)], 1)
    padded = torch.cat([labels, -torch.ones(3, 1, dtype=torch.long)], 1)
    state, other = (method.start(method.embed(images), SIZE) for _ in range(2))
    ignored = torch.cat([points, torch.zeros(3, 1, 2)], 1)
    torch.testing.assert_close(method.click(state, far, padded), method.click(other, ignored, padded))


@pytest.mark.parametrize(("kind", "masks"), [(SamMethod, [3, 1]), (SamMed2DMethod, [3, 3])])
def test_several_masks_after_the_first_click_or_always(kind, masks):
    method = make_method(kind)
    state = method.start(method.embed(method.prepare(torch.rand(1, *SIZE))), SIZE)
    counts = []
    for clicks in (1, 2):
        low, quality = method.decode(state, torch.full((1, clicks, 2), 4.0), torch.ones(1, clicks).long())
        assert low.shape[1] == quality.shape[1]
        counts.append(low.shape[1])
    assert counts == masks


def test_what_is_fed_back():
    for kind, expected in ((SamMethod, lambda x: x), (SamMed2DMethod, torch.sigmoid)):
        method = make_method(kind)
        state = method.start(method.embed(method.prepare(torch.rand(1, *SIZE))), SIZE)
        assert state.mask is None
        low, quality = method.decode(state, torch.full((1, 1, 2), 4.0), torch.ones(1, 1).long())
        method.click(state, torch.full((1, 1, 2), 4.0), torch.ones(1, 1).long())
        best = low[:, quality.argmax(1)[0]].unsqueeze(1)
        torch.testing.assert_close(state.mask, expected(best).detach())


def test_adapters_are_never_zero():
    method = make_method(SamMed2DMethod)
    block = method.network.image_encoder.blocks[0]
    x = torch.randn(1, 4, 4, 16)
    assert float(block.Adapter(x).detach().abs().mean()) > 0.1
