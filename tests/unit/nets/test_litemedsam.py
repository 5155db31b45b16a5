"""LiteMedSAM: network, loss, gradients, resizing, and the way through a volume."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import official
import pytest
import torch

from uscl_med3d.nets.litemedsam import OFFICIAL, LiteFrame, build_litemedsam, propagate, resize_area
from uscl_med3d.nets.losses2d import iou_of, litemedsam_loss
from uscl_med3d.nets.sam import Sam

DTYPES = [torch.float32, torch.float64]
ROUNDED = 1e-5  # the IoU of the prediction comes in float32 upstream


@pytest.fixture(scope="module")
def fixture(shared: Path) -> official.Official:
    return official.Official(shared, "litemedsam")


def build(fixture: official.Official, dtype: torch.dtype) -> Sam:
    config = fixture.config
    sam = OFFICIAL["sam"] | {
        "image_size": config["img_size"],
        "grid": config["grid"],
        "prompt_dim": config["out_chans"],
        "decoder_mlp_dim": config["mlp_dim_decoder"],
        "iou_head_dim": config["iou_head_hidden_dim"],
    }
    encoder = OFFICIAL["encoder"] | {
        "image_size": config["img_size"],
        "widths": config["embed_dims"],
        "depths": config["depths"],
        "num_heads": config["num_heads"],
        "window_sizes": config["window_sizes"],
        "out_channels": config["out_chans"],
    }
    network = build_litemedsam({"sam": sam, "encoder": encoder})
    fixture.load(network, dtype)
    return network


@pytest.mark.parametrize("dtype", DTYPES)
def test_encoder_logits_loss_and_gradients_are_official(fixture, dtype):
    network = build(fixture, dtype)
    images = fixture.given("image", dtype)
    x = network.image_encoder.patch_embed(images.movedim(1, -1))
    fixture.check(x.movedim(-1, 1), "enc.patch_embed")
    for index, stage in enumerate(network.image_encoder.layers):
        x = stage(x)
        fixture.check(x.flatten(1, 2), f"enc.stage{index}")
    embedding = network.image_encoder(images)
    fixture.check(embedding, "encoder")
    boxes = fixture.given("boxes", dtype).reshape(-1, 4)
    low, iou = network.decode(embedding, boxes=boxes, multimask_output=False)
    fixture.check(low, "low_res_logits")
    fixture.check(iou, "iou_pred")
    truth = fixture.given("gt", dtype)
    fixture.check(iou_of(low, truth).to(dtype), "train.iou_of_prediction", ROUNDED)
    loss, parts = litemedsam_loss(low, truth, iou)
    fixture.check(loss.reshape(1), "train.loss", ROUNDED)
    for name, value in parts.items():
        fixture.check(value.reshape(1), f"train.loss_{name}", ROUNDED)
    loss.backward()
    trained = {name for name, _ in network.named_parameters()}
    assert fixture.check_gradients(network, trained, 10 * ROUNDED) > 50


def test_images_and_boxes_are_prepared_as_officially(fixture):
    raw = fixture.tensors["in/raw_grey_uint8"].numpy()
    frame = LiteFrame(raw.shape, 256, 64)
    assert frame.resized == tuple(fixture.tensors["ref32/pre.size"].tolist())
    found = resize_area(raw, frame.resized)
    expected = fixture.tensors["ref32/pre.resized_uint8"].numpy()
    differing = found != expected
    assert differing.mean() < 1e-4 and np.abs(found.astype(int) - expected).max() <= 1
    placed = frame.place_images(torch.from_numpy(raw)[None, None].expand(-1, 3, -1, -1))
    error = (placed[0, 0] - fixture.tensors["ref32/pre.padded_channel0"]).abs()
    assert float(error.max()) < 1.5 / 255 and float(error.median()) < 1e-6
    boxes = frame.place_boxes(fixture.tensors["in/raw_boxes_xyxy_int64"])
    assert torch.equal(boxes, fixture.tensors["ref32/pre.boxes_256"])


def test_a_mask_comes_back_as_officially(fixture):
    network = build(fixture, torch.float32)
    new_height, new_width, height, width = fixture.tensors["ref32/infer.new_size_and_raw_size"].tolist()
    frame = LiteFrame((height, width), fixture.config["img_size"], fixture.config["img_size"])
    assert frame.resized == (new_height, new_width)
    with torch.no_grad():
        embedding = network.image_encoder(fixture.given("image", torch.float32)[:1])
        box = fixture.given("boxes", torch.float32).reshape(-1, 4)[:1]
        low, _ = network.decode(embedding, boxes=box, multimask_output=False)
    assert torch.equal(frame.restore_masks(low)[0, 0] > 0, fixture.tensors["ref32/infer.seg"].bool())


def test_a_volume_is_followed_slice_by_slice_as_officially(fixture):
    volume = fixture.tensors["in/vol_uint8"]
    depth, height, width = volume.shape
    frame = LiteFrame((height, width), 256, 256)
    calls, segmentation = [], np.zeros(volume.shape, np.uint8)
    for label, box in enumerate(fixture.tensors["in/vol_boxes_xyzxyz_int64"].tolist(), 1):

        def segment(index: int, at: tuple[int, int, int, int]) -> np.ndarray:
            calls.append(at)
            image = frame.place_images(volume[index][None, None].expand(-1, 3, -1, -1))[:, :1]
            inside = torch.zeros(256, 256, dtype=torch.bool)
            inside[at[1] : at[3] + 1, at[0] : at[2] + 1] = True
            logits = torch.where(inside, 8 * image - 4, torch.tensor(-4.0))
            return (frame.restore_masks(logits)[0, 0] > 0).numpy()

        for index, mask in propagate(tuple(box), depth, (height, width), 256, 3, segment).items():
            segmentation[index][mask] = label
    assert calls == [tuple(box) for box in fixture.tensors["ref32/vol.boxes_256"].tolist()]
    differing = segmentation != fixture.tensors["ref32/vol.segs"].numpy()
    assert differing.mean() < 1e-3


def test_names_shapes_and_size_of_the_full_network_are_official(shared):
    with torch.device("meta"):
        network = build_litemedsam(OFFICIAL)
    assert official.shapes(network) == official.names_of(shared, "litemedsam")
    assert sum(parameter.numel() for parameter in network.parameters()) == 9_791_300


def test_an_encoder_of_another_grid_is_refused():
    with pytest.raises(ValueError, match="grid"):
        build_litemedsam({**OFFICIAL, "sam": OFFICIAL["sam"] | {"grid": 32}})
