"""SAMed and SAMed_s compute the numbers of the official classes, under the official names."""

from __future__ import annotations

import json
from pathlib import Path

import official
import pytest
import torch

from uscl_med3d.nets.losses2d import samed_loss
from uscl_med3d.nets.sam import PRESETS, build_sam
from uscl_med3d.nets.samed import SAMED, Samed, build_samed, export_lora, import_lora, start_samed

DTYPES = [torch.float32, torch.float64]
NAMES = ["samed", "samed_s"]


@pytest.fixture(scope="module", params=NAMES)
def fixture(request: pytest.FixtureRequest, shared: Path) -> official.Official:
    return official.Official(shared, request.param)


def describe(config: dict, name: str) -> dict:
    return SAMED | {
        "image_size": config["img_size"],
        "embed_dim": config["embed_dim"],
        "depth": config["depth"],
        "num_heads": config["num_heads"],
        "global_blocks": tuple(config["global_attn_indexes"]),
        "window_size": config["window_size"],
        "prompt_dim": config["out_chans"],
        "decoder_mlp_dim": config["mlp_dim_decoder"],
        "iou_head_dim": config["iou_head_hidden_dim"],
        "num_multimask_outputs": config["num_classes"],
        "rank": config["rank"],
        "adapts_decoder": name == "samed_s",
    }


def build(fixture: official.Official, dtype: torch.dtype) -> Samed:
    network = build_samed(describe(fixture.config, fixture.about["name"]))
    fixture.load(network, dtype)
    return network


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_training_step_has_the_official_outputs_loss_and_gradients(fixture, dtype):
    network = build(fixture, dtype)
    trained = set(network.trained_names())
    assert sorted(trained) == sorted(fixture.about["trainable"])
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in trained)
    images = fixture.given("image", dtype)
    fixture.check(network.sam.image_encoder(images), "encoder")
    low, masks, iou = network(images)
    fixture.check(low, "low_res_logits")
    fixture.check(masks, "masks")
    fixture.check(iou, "iou_predictions")
    loss, parts = samed_loss(low, fixture.given("low_res_label_int64", dtype), ce_weight=0.2)
    fixture.check(loss.reshape(1), "train.loss")
    fixture.check(parts["ce"].reshape(1), "train.loss_ce")
    fixture.check(parts["dice"].reshape(1), "train.loss_dice")
    loss.backward()
    assert fixture.check_gradients(network, trained) > 60


def test_the_file_of_adapters_has_official_names_and_numbers(fixture):
    network = build(fixture, torch.float32)
    written = export_lora(network)
    expected = {n.removeprefix("lora_file."): v for n, v in fixture.part("ref32").items() if "lora_file" in n}
    for name, value in expected.items():
        assert torch.equal(written[name], value), name
    other = build_samed(describe(fixture.config, fixture.about["name"]))
    import_lora(other, {name: value.clone() for name, value in written.items()})
    assert all(torch.equal(value, written[name]) for name, value in export_lora(other).items())


def test_a_file_of_adapters_of_another_rank_is_refused(fixture):
    network = build(fixture, torch.float32)
    description = describe(fixture.config, fixture.about["name"]) | {"rank": 2}
    with pytest.raises(ValueError, match="w_a_000"):
        import_lora(build_samed(description), export_lora(network))


@pytest.mark.parametrize("name", NAMES)
def test_names_and_shapes_of_the_full_network_are_official(shared, name):
    with torch.device("meta"):
        network = build_samed(SAMED | {"adapts_decoder": name == "samed_s"})
    assert official.shapes(network) == official.names_of(shared, name)
    listed = json.loads((shared / "reference" / f"{name}.keys.json").read_text())
    trained = network.trained_names()
    assert sorted(trained) == sorted(listed["requires_grad"])
    sizes = {n: p.numel() for n, p in network.named_parameters() if n in set(trained)}
    assert sum(sizes.values()) == listed["requires_grad_elements"]
    written = {key: list(value.shape) for key, value in export_lora(network).items()}
    assert written == listed["lora_file"]


@pytest.mark.parametrize("adapts_decoder", [False, True])
def test_starting_from_sam_leaves_what_is_per_class_and_lora_changes_nothing(adapts_decoder):
    small = {
        "image_size": 64,
        "embed_dim": 16,
        "depth": 2,
        "num_heads": 2,
        "global_blocks": (1,),
        "window_size": 3,
        "prompt_dim": 16,
        "decoder_mlp_dim": 16,
        "iou_head_dim": 8,
    }
    sam = build_sam(PRESETS["sam_vit_b"] | small | {"image_size": 128})
    for parameter in sam.parameters():
        torch.nn.init.normal_(parameter)
    network = build_samed(SAMED | small | {"adapts_decoder": adapts_decoder})
    fresh = start_samed(network, sam.state_dict())
    kept = [n for n in fresh if "linear_" not in n and ".w_" not in n and "fa_ti" not in n]
    assert kept and all(
        n.startswith(
            (
                "sam.mask_decoder.mask_tokens",
                "sam.mask_decoder.output_hyper",
                "sam.mask_decoder.iou_prediction",
            )
        )
        for n in kept
    )
    state = sam.state_dict()
    block = network.sam.image_encoder.blocks[0].attn.qkv
    x = torch.randn(1, 16)
    assert torch.allclose(
        block(x),
        torch.nn.functional.linear(
            x, state["image_encoder.blocks.0.attn.qkv.weight"], state["image_encoder.blocks.0.attn.qkv.bias"]
        ),
    )
