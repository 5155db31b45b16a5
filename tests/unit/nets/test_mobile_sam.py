"""MobileSAM and TinySAM as a whole: official names, and TinySAM's official masks."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from uscl_med3d.nets.mobile_sam import OFFICIAL, build_mobile_sam, describe
from uscl_med3d.nets.sam import OFFICIAL_DECODER, Sam
from uscl_med3d.nets.tiny_vit import TINY_VIT_5M

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-9}
CASES = ["points", "points_padlabel", "boxes", "points_boxes", "points_mask", "mask_only"]
SMALL = describe(
    replace(OFFICIAL_DECODER, image_size=128, grid=8, prompt_dim=32, decoder_mlp_dim=64, iou_head_dim=32),
    replace(
        TINY_VIT_5M,
        image_size=128,
        widths=(16, 24, 32, 40),
        depths=(1, 1, 2, 1),
        num_heads=(2, 2, 4, 5),
        window_sizes=(3, 3, 5, 3),
        out_channels=32,
        num_classes=0,
    ),
)


@pytest.fixture(scope="module")
def tensors(shared: Path) -> dict[str, Tensor]:
    return load_file(shared / "reference" / "tinysam.tiny.safetensors")


def load(tensors: dict[str, Tensor], dtype: torch.dtype) -> Sam:
    network = build_mobile_sam(SMALL)
    state = {name.removeprefix("state/"): x for name, x in tensors.items() if name.startswith("state/")}
    network.load_state_dict(state, strict=True)
    return network.to(dtype).eval()


def compare(found: Tensor, tensors: dict[str, Tensor], name: str) -> None:
    expected = tensors.get(f"ref{torch.finfo(found.dtype).bits}/{name}")
    if expected is None:
        return
    assert found.shape == expected.shape, name
    if expected.numel():
        error = (found - expected).abs().max() / expected.abs().max()
        assert error <= TOLERANCE[found.dtype], f"{name} is off by {error:.1e}"


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("case", CASES)
def test_tinysam_from_image_to_masks(tensors: dict[str, Tensor], case: str, dtype: torch.dtype) -> None:
    network = load(tensors, dtype)
    labels = tensors["in/labels_with_pad" if case == "points_padlabel" else "in/labels"]
    prompts = {
        "points": (tensors["in/points"].to(dtype), labels) if "points" in case else None,
        "boxes": tensors["in/boxes"].to(dtype) if "boxes" in case else None,
        "masks": tensors["in/mask"].to(dtype) if "mask" in case else None,
    }
    with torch.no_grad():
        embedding = network.image_encoder(tensors["in/image"].to(dtype))
        compare(embedding, tensors, "encoder")
        sparse, dense = network.prompt_encoder(**prompts)
        compare(network.prompt_encoder.get_dense_pe(), tensors, "dense_pe")
        compare(sparse, tensors, f"{case}.sparse")
        compare(dense, tensors, f"{case}.dense")
        masks, iou = network.decode(embedding, **prompts, multimask_output=True)
    compare(masks, tensors, f"{case}.masks_multi")
    compare(iou, tensors, f"{case}.iou_multi")


@pytest.mark.parametrize("file", ["mobile_sam", "tinysam"])
def test_names_and_shapes_of_the_full_network_are_official(shared: Path, file: str) -> None:
    listed = json.loads((shared / "reference" / f"{file}.keys.json").read_text())
    with torch.device("meta"):
        state = build_mobile_sam(OFFICIAL).state_dict()
    assert {name: list(x.shape) for name, x in state.items()} == {
        name: value["shape"] for name, value in listed["state_dict"].items()
    }
    assert sum(x.numel() for x in state.values()) == listed["elements"]


def test_the_description_survives_json() -> None:
    again = build_mobile_sam(json.loads(json.dumps(SMALL)))
    assert asdict(again.image_encoder.config) == SMALL["encoder"]


def test_an_encoder_of_another_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="merge_strides"):
        build_mobile_sam({**SMALL, "encoder": SMALL["encoder"] | {"merge_strides": (2, 1, 1)}})
