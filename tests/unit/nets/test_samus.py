"""SAMUS computes the numbers of the official class, under the official names."""

from __future__ import annotations

import json
from pathlib import Path

import official
import pytest
import torch
from torch import Tensor

from uscl_med3d.nets.sam import PRESETS, build_sam
from uscl_med3d.nets.samus import COMPONENTS, SAMUS, Samus, build_samus, start_samus, trained_names

CASES = ["points", "points_padlabel", "boxes", "points_boxes", "points_mask", "mask_only"]
DTYPES = [torch.float32, torch.float64]
# Upstream resizes 256 to 264 with weights in the input's precision, so float32 is off by 4e-4 by itself.
ENCODER = {torch.float32: 1e-3, torch.float64: 1e-9}


def describe(config: dict) -> dict:
    return SAMUS | {
        "embed_dim": config["embed_dim"],
        "depth": config["depth"],
        "num_heads": config["num_heads"],
        "global_blocks": tuple(config["global_attn_indexes"]),
        "prompt_dim": config["out_chans"],
        "decoder_mlp_dim": config["mlp_dim_decoder"],
        "iou_head_dim": config["iou_head_hidden_dim"],
    }


@pytest.fixture(scope="module")
def fixture(shared: Path) -> official.Official:
    return official.Official(shared, "samus")


@pytest.fixture(scope="module")
def training(shared: Path) -> official.Official:
    return official.Official(shared, "samus_train")


@pytest.mark.parametrize("dtype", DTYPES)
def test_encoder_equals_the_official_one_step_by_step(fixture, dtype):
    encoder = fixture.load(build_samus(describe(fixture.config)), dtype).image_encoder
    image = fixture.given("image", dtype).expand(-1, 3, -1, -1)
    with torch.no_grad():
        features = encoder.cnn_embed(image)
        fixture.check(features, "cnn_embed")
        x = encoder.patch_embed(image)
        fixture.check(x, "patch_embed")
        x = encoder.input_Adapter(x)
        fixture.check(x, "input_Adapter")
        fixture.check(encoder.positions(), "post_pos_embed")
        x = x + encoder.positions()
        for index, block in enumerate(encoder.blocks):
            x, features = block.exchange(x, features) if hasattr(block, "exchange") else (block(x), features)
            fixture.check(x, f"block{index}.0", ENCODER[dtype])
            fixture.check(features, f"block{index}.1", ENCODER[dtype])
        fixture.check(encoder(fixture.given("image", dtype)), "encoder", ENCODER[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_decoding_equals_the_official_one(fixture, dtype, case):
    network = fixture.load(build_samus(describe(fixture.config)), dtype)
    labels = fixture.given("labels_with_pad" if case == "points_padlabel" else "labels", dtype)
    prompts = {
        "points": (fixture.given("points", dtype), labels) if "points" in case else None,
        "boxes": fixture.given("boxes", dtype) if "boxes" in case else None,
        "masks": fixture.given("mask", dtype) if "mask" in case else None,
    }
    with torch.no_grad():
        sparse, dense = network.prompt_encoder(**prompts)
        fixture.check(sparse, f"{case}.sparse")
        fixture.check(dense, f"{case}.dense")
        for multimask, name in ((False, "single"), (True, "multi")):
            embedding = fixture.expected("encoder", dtype)
            masks, iou = network.decode(embedding, **prompts, multimask_output=multimask)
            fixture.check(masks, f"{case}.masks_{name}")
            fixture.check(iou, f"{case}.iou_{name}")


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_training_step_has_the_official_outputs_loss_and_gradients(training, dtype):
    from uscl_med3d.nets.losses2d import samus_loss

    network: Samus = training.load(build_samus(describe(training.config)), dtype)
    trained = set(trained_names(network))
    assert sorted(trained) == sorted(training.about["trainable"])
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in trained)
    images = training.given("image_uint8", dtype).to(dtype) / 255
    low, masks = network(images, (training.given("points", dtype), training.given("labels", dtype)))
    training.check(low, "low_res_logits", ENCODER[dtype])
    training.check(masks[:1, :, ::4, ::4], "masks_item0", ENCODER[dtype])
    loss, parts = samus_loss(low, training.given("low_mask_uint8", dtype).to(dtype))
    training.check(loss.reshape(1), "train.loss", 10 * official.TOLERANCE[dtype])
    training.check(parts["dice"].reshape(1), "train.loss_dice", 10 * official.TOLERANCE[dtype])
    training.check(parts["bce"].reshape(1), "train.loss_bce", 10 * official.TOLERANCE[dtype])
    loss.backward()
    assert training.check_gradients(network, trained, {torch.float32: 5e-3, torch.float64: 1e-8}[dtype]) > 30


@pytest.mark.parametrize("dtype", DTYPES)
def test_several_prompts_on_one_image_are_decoded_one_by_one(training, dtype):
    network: Samus = training.load(build_samus(describe(training.config)), dtype)
    images = training.given("image_uint8", dtype).to(dtype) / 255
    prompts = training.given("multi_points", dtype), training.given("multi_labels", dtype)
    with torch.no_grad():
        low, _ = network(images, prompts)
    training.check(low[:1], "multi.low_res_logits", ENCODER[dtype])


def test_names_and_shapes_of_the_full_network_are_official(shared):
    with torch.device("meta"):
        network = build_samus(SAMUS)
    assert official.shapes(network) == official.names_of(shared, "samus")
    listed = json.loads((shared / "reference" / "samus_train.keys.json").read_text())
    trained = trained_names(network)
    assert sorted(trained) == sorted(listed["trainable"])
    sizes = dict(network.named_parameters())
    assert sum(sizes[name].numel() for name in trained) == listed["trainable_elements"]


SMALL = SAMUS | {
    "image_size": 64,
    "position_grid": 16,
    "embed_dim": 16,
    "depth": 2,
    "num_heads": 2,
    "global_blocks": (1,),
    "window_size": 4,
    "cnn_widths": (4, 4, 8),
    "prompt_dim": 16,
    "decoder_mlp_dim": 16,
    "iou_head_dim": 8,
}


def test_starting_from_sam_keeps_its_tensors_and_lists_the_new_ones():
    architecture = {key: SMALL[key] for key in PRESETS["sam_vit_b"]}
    sam = build_sam(architecture | {"image_size": 256, "patch_size": 16})
    for parameter in sam.parameters():
        torch.nn.init.normal_(parameter)
    network = build_samus(SMALL)
    fresh = start_samus(network, sam.state_dict())
    assert fresh and all("cnn_embed" in n or "post_pos" in n or "Adapter" in n for n in fresh)
    state = network.state_dict()
    assert torch.equal(state["image_encoder.pos_embed"], sam.state_dict()["image_encoder.pos_embed"])
    assert state["image_encoder.blocks.1.attn.rel_pos_h"].shape == (15, 8)


def test_starting_from_a_sam_of_another_width_names_the_tensors():
    architecture = {key: SMALL[key] for key in PRESETS["sam_vit_b"]} | {"embed_dim": 32}
    with pytest.raises(ValueError, match="patch_embed"):
        start_samus(build_samus(SMALL), build_sam(architecture).state_dict())


@pytest.mark.parametrize("count", range(len(COMPONENTS) + 1))
def test_each_component_adds_parameters_and_changes_the_embedding(count):
    torch.manual_seed(0)
    network = build_samus(SMALL | {"components": COMPONENTS[:count]})
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    image = torch.rand(1, 1, 64, 64)
    embedding: Tensor = network.image_encoder(image)
    assert embedding.shape == (1, 16, 8, 8)
    own = [n for n, _ in network.named_parameters() if any(p in n for p in ("cnn_", "Adapter", "post_pos"))]
    if count == 0:
        assert not own
        return
    for parameter in (dict(network.named_parameters())[name] for name in own):
        torch.nn.init.normal_(parameter, std=0.7)
    assert not torch.allclose(network.image_encoder(image), embedding)


def test_positions_of_the_article_differ_from_the_official_ones(fixture):
    description = describe(fixture.config)
    ours = build_samus(description)
    state = fixture.part("state")
    ours.load_state_dict(state)
    article = build_samus(description | {"position_layers": "article"})
    kept = {n: state[n] for n in article.state_dict()}
    article.load_state_dict(kept, strict=True)
    with torch.no_grad():
        found, expected = article.image_encoder.positions(), ours.image_encoder.positions()
    assert float((found - expected).abs().max()) > 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"components": ("cross_branch_attention",)}, "needs the component cnn_branch"),
        ({"components": ("nonsense",)}, "must be among"),
        ({"position_grid": 24}, "power of two"),
        ({"cnn_widths": (8, 16)}, "stride"),
        ({"position_layers": "other"}, "official or article"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        build_samus(SMALL | change)


def test_images_of_another_size_are_refused():
    with pytest.raises(ValueError, match="64, 64"):
        build_samus(SMALL).image_encoder(torch.zeros(1, 1, 32, 32))
