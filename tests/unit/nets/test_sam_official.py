"""SAM and SAM-Med2D compute the numbers of the official classes, under the official names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from uscl_med3d.nets.sam import PRESETS, Sam, build_sam

TINY = {"sam_vit_b": "sam_vit_b.tiny", "sam_med2d": "sam_med2d.tiny"}
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-9}
CASES = ["points", "points_padlabel", "boxes", "points_boxes", "points_mask", "mask_only"]


def describe(config: dict, adapters: bool) -> dict:
    """The flat description of a fixture's network."""
    return {
        "image_size": config["img_size"],
        "patch_size": config["patch_size"],
        "embed_dim": config["embed_dim"],
        "depth": config["depth"],
        "num_heads": config["num_heads"],
        "global_blocks": tuple(config["global_attn_indexes"]),
        "window_size": config["window_size"],
        "mlp_ratio": 4.0,
        "adapter_ratio": config["adapter_hidden"] / config["embed_dim"] if adapters else None,
        "prompt_dim": config["out_chans"],
        "mask_channels": config["mask_in_chans"],
        "decoder_mlp_dim": config["mlp_dim_decoder"],
        "decoder_heads": 8,
        "decoder_depth": 2,
        "iou_head_depth": 3,
        "iou_head_dim": config["iou_head_hidden_dim"],
        "num_multimask_outputs": 3,
    }


@pytest.fixture(scope="module", params=sorted(TINY))
def fixture(request: pytest.FixtureRequest, shared: Path) -> tuple[dict, dict[str, Tensor]]:
    """Description and tensors of a small official network."""
    path = shared / "reference" / f"{TINY[request.param]}.json"
    config = json.loads(path.read_text())["config"]
    return describe(config, "adapter_hidden" in config), load_file(path.with_suffix(".safetensors"))


def load(description: dict, tensors: dict[str, Tensor], dtype: torch.dtype) -> Sam:
    network = build_sam(description)
    state = {
        name.removeprefix("state/"): value for name, value in tensors.items() if name.startswith("state/")
    }
    network.load_state_dict(state, strict=True)
    return network.to(dtype).eval()


def compare(found: Tensor, tensors: dict[str, Tensor], name: str) -> None:
    dtype = found.dtype
    expected = tensors.get(f"ref{torch.finfo(dtype).bits}/{name}")
    if expected is None:
        return
    assert found.shape == expected.shape, name
    scale = max(float(expected.abs().max()), 1e-12) if expected.numel() else 1.0
    worst = float((found - expected).abs().max()) / scale if expected.numel() else 0.0
    assert worst < TOLERANCE[dtype], f"{name}: off by {worst:.1e} of its largest value"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_encoder_equals_the_official_one_block_by_block(fixture, dtype):
    description, tensors = fixture
    encoder = load(description, tensors, dtype).image_encoder.requires_grad_(False)
    x = encoder.patch_embed(tensors["in/image"].to(dtype))
    compare(x, tensors, "patch_embed")
    x = x + encoder.pos_embed
    for index, block in enumerate(encoder.blocks):
        x = block(x)
        compare(x, tensors, f"block{index}")
    compare(encoder(tensors["in/image"].to(dtype)), tensors, "encoder")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", CASES)
def test_decoding_equals_the_official_one(fixture, dtype, case):
    description, tensors = fixture
    network = load(description, tensors, dtype)
    given = {name.removeprefix("in/"): value for name, value in tensors.items() if name.startswith("in/")}
    floating = {name: value.to(dtype) for name, value in given.items() if value.is_floating_point()}
    labels = floating["labels_with_pad" if case == "points_padlabel" else "labels"]
    prompts = {
        "points": (floating["points"], labels) if "points" in case else None,
        "boxes": floating["boxes"] if "boxes" in case else None,
        "masks": floating["mask"] if "mask" in case else None,
    }
    embedding = tensors[f"ref{torch.finfo(dtype).bits}/encoder"]
    with torch.no_grad():
        sparse, dense = network.prompt_encoder(**prompts)
        compare(network.prompt_encoder.get_dense_pe(), tensors, "dense_pe")
        compare(sparse, tensors, f"{case}.sparse")
        compare(dense, tensors, f"{case}.dense")
        for multimask, name in ((False, "single"), (True, "multi")):
            masks, iou = network.decode(embedding, **prompts, multimask_output=multimask)
            compare(masks, tensors, f"{case}.masks_{name}")
            compare(iou, tensors, f"{case}.iou_{name}")


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_names_and_shapes_of_the_full_network_are_official(shared, name):
    official = json.loads((shared / "reference" / f"{name}.keys.json").read_text())["state_dict"]
    with torch.device("meta"):
        state = build_sam(PRESETS[name]).state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == {
        key: value["shape"] for key, value in official.items()
    }
