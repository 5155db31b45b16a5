"""Counts of S5 against numbers that can be worked out by hand."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from tiny_samus import few, tiny_samus
from tiny_stills import make_base
from torch import nn

from uscl_med3d.methods.stills.grey import GreyStill
from uscl_med3d.stills.deploy import BYTES, count_flop, make_picture, run_deploy, training_bytes

SIDE = 16


class One(GreyStill):
    """A network of one convolution from 1 to 2 channels."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(1, 2, 3, padding=1, bias=False), SIDE)

    @classmethod
    def build(cls, start):
        return cls()


class Frozen(One):
    """The same, of which nothing but the last weights would train."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, bias=False), self.network)

    def trained_names(self):
        return ["1.weight"]


def test_a_convolution_is_counted_by_its_products():
    assert count_flop(One(), make_picture(SIDE)) == 2 * 9 * 2 * SIDE**2


def test_memory_grows_with_the_batch_by_what_an_image_keeps():
    one, two, three = (training_bytes(One(), SIDE, number) for number in (1, 2, 3))
    assert two - one == pytest.approx(three - two, rel=0.05) and two - one > BYTES * SIDE**2


def test_frozen_weights_have_no_gradients_to_keep():
    method = Frozen()
    before = training_bytes(method, SIDE)
    method.trained_names = lambda: ["0.weight", "1.weight"]
    more = training_bytes(method, SIDE) - before
    assert more >= BYTES * 3 * 9  # a gradient and two numbers of the optimiser for nine more weights


def test_counts_repeat_and_speed_stands_apart(tmp_path):
    base = make_base(tmp_path / "sam.safetensors")
    job = few(tiny_samus("samus"), "unet", "sam", "medsam", "samed", "samus")
    for number in (1, 2):
        run_deploy(job, 5, base, tmp_path / f"counted{number}.csv", tmp_path / f"speed{number}.csv")
    counted = pd.read_csv(tmp_path / "counted1.csv").set_index("method")
    assert (tmp_path / "counted1.csv").read_bytes() == (tmp_path / "counted2.csv").read_bytes()
    assert (
        "frames_per_second" not in counted
        and (pd.read_csv(tmp_path / "speed1.csv")["frames_per_second"] > 0).all()
    )
    assert counted.loc["SAM", "trained"] == 0 and pd.isna(counted.loc["SAM", "training_mb"])
    assert counted.loc["MedSAM", "parameters"] == counted.loc["SAM", "parameters"]
    assert 0 < counted.loc["SAMed", "trained"] < counted.loc["SAMed", "parameters"]
    assert torch.is_grad_enabled()
