"""Normalisation by the foreground."""

from __future__ import annotations

import torch

from uscl_med3d.nets.intensity import zscore_foreground


def test_foreground_has_mean_zero_and_sample_deviation_one():
    x = torch.rand(2, 1, 4, 5, 6, generator=torch.Generator().manual_seed(0)) * 200 + 1
    x[:, :, :, :2] = 0
    y = zscore_foreground(x)
    for volume, result in zip(x, y, strict=True):
        inside = result[volume > 0]
        torch.testing.assert_close(inside.mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
        torch.testing.assert_close(inside.std(correction=1), torch.tensor(1.0))
        outside = result[volume == 0]
        assert torch.equal(outside, outside[:1].expand_as(outside)) and outside[0] < 0


def test_volumes_of_a_batch_do_not_mix():
    x = torch.rand(3, 1, 4, 4, 4, generator=torch.Generator().manual_seed(1)) * torch.tensor(
        [1.0, 50, 9]
    ).reshape(3, 1, 1, 1, 1)
    torch.testing.assert_close(zscore_foreground(x)[1:2], zscore_foreground(x[1:2]))


def test_volumes_without_contrast_stay_finite():
    flat = torch.zeros(3, 1, 3, 3, 3)
    flat[1] = 97.3
    flat[2, 0, 0, 0, 0] = 5
    y = zscore_foreground(flat)
    assert torch.isfinite(y).all()
    assert (y[0] == 0).all() and y[1].abs().max() < 1e-3 and y[2, 0, 0, 0, 0] == 0


def test_integers_are_accepted():
    assert zscore_foreground(torch.arange(8, dtype=torch.uint8).reshape(1, 1, 2, 2, 2)).dtype == torch.float32
