"""AutoSAMUS computes the numbers of the official class, under the official names."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import official
import pytest
import torch
from torch import nn

from uscl_med3d.nets.sam.config import SamConfig
from uscl_med3d.nets.samus import SAMUS
from uscl_med3d.nets.samus.prompt_generator import (
    GENERATOR,
    AutoSamus,
    GeneratorConfig,
    build_auto_samus,
    feature_adapter,
    generator_names,
)

DTYPES = [torch.float32, torch.float64]


@pytest.fixture(scope="module")
def fixture(shared: Path) -> official.Official:
    return official.Official(shared, "autosamus")


def build(fixture: official.Official, dtype: torch.dtype, softmax: str = "official") -> AutoSamus:
    config = fixture.config
    sam = SamConfig(
        image_size=8 * config["grid"],
        grid=config["grid"],
        prompt_dim=config["out_chans"],
        mask_channels=16,
        decoder_mlp_dim=config["mlp_dim_decoder"],
        decoder_heads=8,
        decoder_depth=2,
        iou_head_depth=3,
        iou_head_dim=fixture.tensors["state/mask_decoder.iou_prediction_head.layers.0.weight"].shape[0],
        num_multimask_outputs=3,
    )
    generator = GeneratorConfig(
        object_tokens=config["object_tokens"],
        heads=config["heads"],
        head_dim=config["dim_head"],
        mlp_dim=config["mlp_dim"],
        depth=2,
        softmax=softmax,
    )
    network = AutoSamus(sam, nn.Identity(), generator)
    narrow = fixture.tensors["state/feature_adapter.0.weight"].shape[0]
    assert narrow == feature_adapter(config["out_chans"])[0].weight.shape[0]
    fixture.load(network, dtype)
    return network


@pytest.mark.parametrize("dtype", DTYPES)
def test_prompt_logits_and_gradients_are_official(fixture, dtype):
    network = build(fixture, dtype)
    trained = set(generator_names(network))
    assert sorted(trained) == sorted(fixture.about["trainable"])
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in trained)
    embedding = fixture.given("image_embedding", dtype)
    decoder = network.mask_decoder
    tokens = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight]).expand(2, -1, -1)
    image, sparse = network.prompt_generator(embedding, tokens)
    fixture.check(image, "gen.image_embedding")
    fixture.check(sparse, "gen.sparse")
    fixture.check(network.feature_adapter(image), "dense")
    low = network.segment(embedding)
    fixture.check(low, "low_res_logits")
    (low * fixture.given("cotangent", dtype)).sum().backward()
    count = fixture.check_gradients(network, trained)
    assert count == len(trained) - len(fixture.about["trainable_without_gradient"])


def test_the_ordinary_softmax_gives_other_logits(fixture):
    """The switch acts: with it on `sane`, the fixture would fail."""
    with torch.no_grad():
        logits = build(fixture, torch.float64, "sane").segment(
            fixture.given("image_embedding", torch.float64)
        )
    assert fixture.error(logits, "low_res_logits") > 1e-3


def test_names_and_shapes_of_the_full_network_are_official(shared):
    with torch.device("meta"):
        network = build_auto_samus(SAMUS, GENERATOR)
    found = official.shapes(network)
    own = official.names_of(shared, "autosamus")
    assert {name: found[name] for name in own} == own
    assert {n: s for n, s in found.items() if n not in own} == official.names_of(shared, "samus")
    assert sorted(own) == sorted(generator_names(network))


def test_an_unknown_softmax_is_refused():
    with pytest.raises(ValueError, match="official or sane"):
        dataclasses.replace(GENERATOR, softmax="other")
