"""Losses of the 2D foundation models equal the official ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from uscl_med3d.nets.losses2d import msa_loss, samed_loss, samus_loss

CASES = {torch.float32: ("ref32", 1e-5), torch.float64: ("ref64", 1e-9)}


@pytest.fixture(scope="module")
def tensors(shared: Path) -> dict[str, torch.Tensor]:
    return load_file(shared / "reference" / "samus_losses_metrics.tiny.safetensors")


@pytest.mark.parametrize("dtype", list(CASES))
def test_losses_are_official(tensors, dtype):
    prefix, tolerance = CASES[dtype]
    logits, truth = tensors["in/logits1"].to(dtype), tensors["in/gt"].to(dtype)
    found = {
        "samus": samus_loss(logits, truth)[0],
        "msa": msa_loss(logits, truth)[0],
        "samed": samed_loss(tensors["in/logits2"].to(dtype), truth[:, 0], ce_weight=0.2)[0],
    }
    for name, value in found.items():
        expected = tensors[f"{prefix}/loss.{name}"]
        assert float((value - expected).abs() / expected) < tolerance, name
