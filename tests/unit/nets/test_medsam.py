"""MedSAM: forward, loss, gradients, and the official way from image to network and back."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import official
import pytest
import torch

from uscl_med3d.nets.losses2d import medsam_loss
from uscl_med3d.nets.medsam import (
    MedSamFrame,
    draw_box,
    draw_click,
    medsam_forward,
    min_max,
    restore_probabilities,
    stretch,
    trained_names,
)
from uscl_med3d.nets.sam import PRESETS, Sam, build_sam

DTYPES = [torch.float32, torch.float64]


@pytest.fixture(scope="module")
def fixture(shared: Path) -> official.Official:
    return official.Official(shared, "medsam")


def build(fixture: official.Official, dtype: torch.dtype) -> Sam:
    config = fixture.config
    network = build_sam(
        PRESETS["sam_vit_b"]
        | {
            "image_size": config["img_size"],
            "embed_dim": config["embed_dim"],
            "depth": config["depth"],
            "num_heads": config["num_heads"],
            "global_blocks": tuple(config["global_attn_indexes"]),
            "window_size": config["window_size"],
            "prompt_dim": config["out_chans"],
            "decoder_mlp_dim": config["mlp_dim_decoder"],
            "iou_head_dim": config["iou_head_hidden_dim"],
        }
    )
    fixture.load(network, dtype)
    return network


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_training_step_has_the_official_outputs_loss_and_gradients(fixture, dtype):
    network = build(fixture, dtype)
    trained = set(trained_names(network, first_form=False))
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in trained)
    images, boxes = fixture.given("image", dtype), fixture.given("boxes", dtype)
    fixture.check(network.image_encoder(images), "encoder")
    low, masks = medsam_forward(network, images, boxes)
    fixture.check(low, "train.low_res")
    fixture.check(masks, "train.masks")
    loss, parts = medsam_loss(masks, fixture.given("gt", dtype))
    fixture.check(loss.reshape(1), "train.loss")
    fixture.check(parts["dice"].reshape(1), "train.loss_dice")
    fixture.check(parts["bce"].reshape(1), "train.loss_bce")
    loss.backward()
    count = fixture.check_gradients(network, trained)
    assert count == len(trained) - len(fixture.about["trainable_without_gradient"])


def test_a_box_of_the_slice_gives_the_official_mask(fixture):
    network = build(fixture, torch.float32)
    size = tuple(fixture.config["raw_hw"])
    side = fixture.config["img_size"]
    frame = MedSamFrame(size, side, side // 4)
    corners = fixture.given("raw_box_xyxy", torch.float64).reshape(2, 2).flip(-1)
    box = frame.place_points(corners).reshape(1, 4)
    assert torch.allclose(box, fixture.tensors["ref32/infer.box_in_model_frame"])
    with torch.no_grad():
        low, _ = medsam_forward(network, fixture.given("image", torch.float32)[:1], box.float())
    mask = restore_probabilities(low, size)[0, 0] > 0.5
    assert torch.equal(mask, fixture.tensors["ref32/infer.seg"].bool())
    assert torch.equal(frame.restore_masks(low)[0, 0] > 0, mask)


@pytest.mark.parametrize("kind", ["rgb", "grey"])
def test_images_are_prepared_as_for_inference(fixture, kind):
    raw = fixture.tensors[f"in/raw_{kind}_uint8"].numpy()
    rgb = raw if raw.ndim == 3 else np.repeat(raw[..., None], 3, -1)
    side = fixture.config["img_size"]
    pixels = stretch(rgb, side, "reflect").astype(np.uint8)
    expected = fixture.tensors[f"ref32/pre.infer_{kind}_uint8"].numpy()
    assert np.mean(pixels != expected) < 1e-3 and np.abs(pixels.astype(int) - expected).max() <= 1
    frame = MedSamFrame(raw.shape[:2], side, side // 4)
    placed = frame.place_images(torch.from_numpy(rgb).movedim(-1, 0)[None])
    assert float((placed - fixture.tensors[f"ref32/pre.infer_{kind}"]).abs().max()) < 1.5 / 255


def test_images_are_prepared_as_for_training(fixture):
    raw = fixture.tensors["in/raw_grey_uint8"].numpy()
    found = min_max(stretch(raw, fixture.config["img_size"], "constant"))
    assert np.abs(found - fixture.tensors["ref32/pre.train_grey"].numpy()).max() < 1e-6


def test_boxes_are_drawn_as_officially(fixture):
    labels = fixture.tensors["in/label_map_uint8"].numpy()
    chooser = random.Random(fixture.config["bbox_seed"])
    for expected, label in zip(
        fixture.tensors["ref32/bbox.boxes"], fixture.tensors["ref32/bbox.label"], strict=True
    ):
        found = draw_box(labels, 5, chooser, clip="official")
        assert found == (int(label), tuple(int(value) for value in expected))


def test_a_box_at_the_border_stays_inside_only_with_the_sane_clip():
    labels = np.zeros((8, 8), int)
    labels[4:, 5:] = 3
    assert draw_box(labels, 20, random.Random(1), clip="official")[1][2:] == (8, 8)
    assert draw_box(labels, 20, random.Random(1), clip="sane")[1][2:] == (7, 7)


def test_only_the_official_click_can_miss_the_object():
    mask = np.eye(16, dtype=bool)
    chooser = random.Random(0)
    official_clicks = [draw_click(mask, chooser, "official") for _ in range(50)]
    assert not all(mask[y, x] for x, y in official_clicks)
    assert all(mask[y, x] for x, y in (draw_click(mask, chooser, "sane") for _ in range(50)))


def test_empty_maps_are_refused():
    with pytest.raises(ValueError, match="empty"):
        draw_box(np.zeros((4, 4), int), 2, random.Random(0), clip="sane")
    with pytest.raises(ValueError, match="empty"):
        draw_click(np.zeros((4, 4), bool), random.Random(0), "sane")


def test_the_first_form_trains_the_decoder_alone():
    with torch.device("meta"):
        network = build_sam(PRESETS["sam_vit_b"])
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    assert sum(sizes[name] for name in trained_names(network, first_form=False)) == 93_729_252
    assert all(name.startswith("mask_decoder.") for name in trained_names(network, first_form=True))
