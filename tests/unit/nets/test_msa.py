"""MSA computes the numbers of the official class in 2D and 3D, and every switch acts."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import official
import pytest
import torch
from monai.losses import DiceCELoss
from torch import Tensor

from uscl_med3d.nets.losses2d import msa_loss
from uscl_med3d.nets.msa import (
    MSA,
    RELEASED,
    SANE,
    Msa,
    build_msa,
    depth_rectangle,
    join_clicks,
    order_click,
    resize_logits,
    start_msa,
    trained_names,
)
from uscl_med3d.nets.sam import PRESETS, build_sam

DTYPES = [torch.float32, torch.float64]
FLOAT32 = {"msa": 1e-5, "msa_depth": 2e-4}  # upstream's own distance from float64


@pytest.fixture(scope="module", params=sorted(FLOAT32))
def fixture(request: pytest.FixtureRequest, shared: Path) -> official.Official:
    return official.Official(shared, request.param)


@pytest.fixture(scope="module")
def depth(shared: Path) -> official.Official:
    return official.Official(shared, "msa_depth")


@pytest.fixture(scope="module")
def flat(shared: Path) -> official.Official:
    return official.Official(shared, "msa")


def describe(config: dict) -> dict:
    return MSA | {
        "image_size": config["img_size"],
        "embed_dim": config["embed_dim"],
        "depth": config["depth"],
        "num_heads": config["num_heads"],
        "global_blocks": tuple(config["global_attn_indexes"]),
        "window_size": config["window_size"],
        "prompt_dim": config["out_chans"],
        "decoder_mlp_dim": config["mlp_dim_decoder"],
        "iou_head_dim": config["iou_head_hidden_dim"],
        "slices": config["chunk"] if config["thd"] else None,
    }


def build(fixture: official.Official, dtype: torch.dtype, **switches: str) -> Msa:
    network = build_msa(describe(fixture.config) | switches)
    fixture.load(network, dtype)
    return network


def run(fixture: official.Official, network: Msa, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    points = fixture.given("points", dtype), fixture.given("labels", dtype)
    return network(fixture.given("image", dtype), points)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_training_step_has_the_official_outputs_loss_and_gradients(fixture, dtype):
    tolerance = FLOAT32[fixture.about["name"]] if dtype == torch.float32 else 1e-9
    network = build(fixture, dtype)
    trained = set(trained_names(network))
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in trained)
    x = network.image_encoder.patch_embed(fixture.given("image", dtype))
    fixture.check(x, "patch_embed")
    x = x + network.image_encoder.positions()
    for index, block in enumerate(network.image_encoder.blocks):
        x = block(x)
        fixture.check(x, f"block{index}", tolerance)
    low, iou = run(fixture, network, dtype)
    fixture.check(low, "low_res", tolerance)
    fixture.check(iou, "iou", tolerance)
    masks = resize_logits(low, fixture.config["out_size"], "official")
    fixture.check(masks, "train.pred", tolerance)
    truth = fixture.given("gt", dtype)
    if fixture.config["thd"]:
        loss = DiceCELoss(sigmoid=True, squared_pred=True)(masks, truth)
    else:
        loss, _ = msa_loss(masks, truth)
    fixture.check(loss.reshape(1), "train.loss", tolerance)
    loss.backward()
    limit = 1e-3 if dtype == torch.float32 else 1e-8
    assert fixture.check_gradients(network, trained, limit) > 100


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_click_per_image_becomes_one_prompt_of_all_clicks(flat, dtype):
    network = build(flat, dtype)
    clicks = flat.given("click_points", dtype)
    labels = clicks.new_ones(len(clicks))
    points = join_clicks(clicks, labels, "official")
    with torch.no_grad():
        sparse, _ = network.prompt_encoder(points=points)
        flat.check(sparse, "one_click.sparse")
        low, _ = network(flat.given("image", dtype), points)
        flat.check(low, "one_click.low_res")
        apart, _ = network(flat.given("image", dtype), join_clicks(clicks, labels, "sane"))
    assert flat.error(apart, "one_click.low_res") > 1e-3


@pytest.mark.parametrize("switch", ["padding", "decoder"])
def test_each_switch_of_the_network_changes_the_logits(flat, switch):
    state = flat.part("state")
    network = build_msa(describe(flat.config) | {switch: "sane"})
    if switch == "decoder":
        state = {
            name.replace(".mlp.layers.0.0.", ".mlp.lin1.").replace(".mlp.fc.", ".mlp.lin2."): value
            for name, value in state.items()
        }
    network.load_state_dict(state, strict=True)
    network.double().eval()
    with torch.no_grad():
        low, _ = run(flat, network, torch.float64)
    assert flat.error(low, "low_res") > 1e-3


def test_slices_of_a_volume_are_grouped_otherwise_when_sane(depth):
    with torch.no_grad():
        low, _ = run(depth, build(depth, torch.float64, depth_groups="sane"), torch.float64)
    assert depth.error(low, "low_res") > 1e-3
    rectangles = {6: (2, 3), 96: (8, 12), 4: (1, 4), 9: (1, 9), 16: (2, 8)}
    assert {count: depth_rectangle(count, "official") for count in rectangles} == rectangles
    assert [depth_rectangle(count, "sane") for count in (4, 9, 16, 6)] == [(2, 2), (3, 3), (4, 4), (2, 3)]


def test_a_batch_that_is_not_whole_volumes_is_refused(depth):
    network = build(depth, torch.float32)
    with pytest.raises(ValueError, match="not a multiple"):
        network.image_encoder(depth.given("image", torch.float32)[:4])


def test_clicks_are_drawn_as_row_and_column_and_meant_as_x_and_y(flat):
    mask = flat.tensors["in/click_mask"].numpy()
    rng = np.random.RandomState(3)
    voxels = np.argwhere(mask == mask.max())
    drawn = [tuple(voxels[rng.randint(len(voxels))]) for _ in range(len(flat.tensors["ref32/click.row_col"]))]
    assert drawn == [tuple(pair) for pair in flat.tensors["ref32/click.row_col"].tolist()]
    assert order_click(3, 7, "official") == (3, 7) and order_click(3, 7, "sane") == (7, 3)


def test_names_and_shapes_of_the_full_network_are_official(shared):
    with torch.device("meta"):
        network = build_msa(MSA)
    assert official.shapes(network) == official.names_of(shared, "msa")
    listed = json.loads((shared / "reference" / "msa.keys.json").read_text())["trainable"]
    unused = {name for name in trained_names(network) if "Depth_Adapter" in name}
    assert set(trained_names(network)) - unused <= set(listed) <= set(trained_names(network))


@pytest.mark.parametrize(("switches", "dropped"), [(RELEASED, True), (SANE, False)])
def test_the_official_start_drops_tensors_of_sam_and_the_sane_one_none(shared, switches, dropped):
    with torch.device("meta"):
        sam = build_sam(PRESETS["sam_vit_b"]).state_dict()
        network = build_msa(MSA | asdict(switches))
        taken = []
        network.load_state_dict = lambda state, strict: taken.append(state)  # type: ignore[method-assign]
        fresh = start_msa(network, sam)
    assert taken
    lost = json.loads((shared / "reference" / "msa.keys.json").read_text())["sam_file_tensors_not_loaded"]
    names = [name for name in fresh if "Adapter" not in name]
    assert len(names) == (len(lost) if dropped else 0)


def test_several_masks_include_mask_0_only_officially():
    small = MSA | {"embed_dim": 16, "depth": 1, "num_heads": 2, "global_blocks": (), "window_size": 3}
    small |= {"image_size": 64, "prompt_dim": 16, "decoder_mlp_dim": 16, "iou_head_dim": 8}
    ranges = [
        build_msa(small | {"masks": rule}, returned=3).mask_decoder.chosen(True)
        for rule in ("official", "sane")
    ]
    assert [list(found) for found in ranges] == [[0, 1, 2], [1, 2, 3]]
    with pytest.raises(ValueError, match="masks must be"):
        build_msa(small | {"masks": "other"})


def test_images_of_another_size_are_refused(flat):
    with pytest.raises(ValueError, match="takes images"):
        build(flat, torch.float32).image_encoder(torch.zeros(1, 3, 32, 32))
