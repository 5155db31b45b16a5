"""TinyViT: official names and shapes, the official numbers, and no stale copies of weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from uscl_med3d.nets.tiny_vit import TINY_VIT_5M, PatchMerging, TinyViT, TinyViTConfig

TINY = TinyViTConfig(
    image_size=128,
    widths=(16, 24, 32, 40),
    depths=(1, 1, 2, 1),
    num_heads=(2, 2, 4, 5),
    window_sizes=(3, 3, 5, 3),
    merge_strides=(2, 2, 1),
    mlp_ratio=4.0,
    expand_ratio=4.0,
    local_conv_size=3,
    out_channels=32,
    num_classes=0,
)
PRECISIONS = {"ref32": (torch.float32, 1e-5), "ref64": (torch.float64, 1e-9)}
FILES = ["mobile_sam", "tinysam"]


def read(shared: Path, name: str) -> dict[str, Tensor]:
    return load_file(shared / "reference" / f"{name}.tiny.safetensors")


def build(tensors: dict[str, Tensor], dtype: torch.dtype) -> TinyViT:
    prefix = "state/image_encoder."
    encoder = TinyViT(TINY).eval()  # before loading: the order that leaves the official bias at zero
    state = {name.removeprefix(prefix): x for name, x in tensors.items() if name.startswith(prefix)}
    encoder.load_state_dict(state, strict=True)
    return encoder.to(dtype)


def walk(encoder: TinyViT, image: Tensor, gradients: bool) -> dict[str, Tensor]:
    """Every intermediate result that the reference names, in its layout."""
    found = {}

    def keep(name: str, tokens: bool):
        def hook(module, inputs, output):
            found[name] = output.flatten(1, 2) if tokens else output.permute(0, 3, 1, 2)

        return hook

    encoder.patch_embed.register_forward_hook(keep("patch_embed", False))
    for i, stage in enumerate(encoder.layers):
        for j, block in enumerate(stage.blocks):
            block.register_forward_hook(keep(f"stage{i}.block{j}", i > 0))
        if i < 3:
            stage.downsample.register_forward_hook(keep(f"stage{i}.merge", True))
    with torch.set_grad_enabled(gradients):
        found["encoder"] = encoder(image)
    return found


def check(found: dict[str, Tensor], tensors: dict[str, Tensor], kind: str) -> int:
    compared = 0
    for name, value in found.items():
        expected = tensors.get(f"{kind}/{name}")
        if expected is None:
            assert f"ref32/{name}" in tensors
            continue
        assert value.shape == expected.shape, name
        error = (value - expected).abs().max() / expected.abs().max()
        assert error <= PRECISIONS[kind][1], f"{name} is off by {error:.1e}"
        compared += 1
    return compared


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("kind", list(PRECISIONS))
@pytest.mark.parametrize("gradients", [False, True])  # attention has a way of its own for each
def test_official_numbers(shared: Path, file: str, kind: str, gradients: bool) -> None:
    tensors = read(shared, file)
    dtype = PRECISIONS[kind][0]
    found = walk(build(tensors, dtype), tensors["in/image"].to(dtype), gradients)
    assert check(found, tensors, kind) >= 8


@pytest.mark.parametrize("kind", list(PRECISIONS))
def test_merging_that_keeps_the_resolution(shared: Path, kind: str) -> None:
    tensors = read(shared, "mobile_sam")
    merge = PatchMerging(8, 320, 1).eval()
    prefix = "state/merge320."
    merge.load_state_dict({k.removeprefix(prefix): x for k, x in tensors.items() if k.startswith(prefix)})
    dtype = PRECISIONS[kind][0]
    with torch.no_grad():
        out = merge.to(dtype)(tensors["in/merge320_tokens"].to(dtype).reshape(1, 5, 5, 8)).flatten(1, 2)
    assert check({"merge320.out": out}, tensors, kind) == 1


@pytest.mark.parametrize("file", FILES)
def test_official_names_and_shapes(shared: Path, file: str) -> None:
    listed = json.loads((shared / "reference" / f"{file}.keys.json").read_text())["state_dict"]
    prefix = "image_encoder."
    expected = {k.removeprefix(prefix): v for k, v in listed.items() if k.startswith(prefix)}
    with torch.device("meta"):
        state = TinyViT(TINY_VIT_5M).state_dict()
    found = {name: {"shape": list(x.shape), "dtype": str(x.dtype)} for name, x in state.items()}
    assert found == expected


def test_training_and_evaluation_agree_on_folded_norms() -> None:
    """Folding is exact: with frozen statistics, the unfolded path gives the same numbers."""
    torch.manual_seed(0)
    encoder = TinyViT(replace(TINY, image_size=32, depths=(1, 1, 1, 1))).double()
    image = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        for _ in range(3):
            encoder(image)  # moves the running statistics away from 0 and 1
        encoder.eval()
        folded = encoder(image)
        for module in encoder.modules():
            if type(module).__name__ == "ConvNorm":
                module.training = True  # unfolded, while the norm inside keeps its stored statistics
        torch.testing.assert_close(encoder(image), folded, rtol=0, atol=1e-11)


def test_weights_loaded_later_count_at_once() -> None:
    """No copy of biases or folded weights survives a change of the weights."""
    encoder = TinyViT(replace(TINY, image_size=32)).eval()
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        before = encoder(image)
        for block in encoder.layers[1].blocks:
            block.attn.attention_biases.normal_()
        assert not torch.allclose(encoder(image), before)


def test_gradients_reach_every_used_parameter() -> None:
    encoder = TinyViT(replace(TINY, image_size=32, num_classes=5)).train()
    (encoder(torch.randn(2, 3, 32, 32)) * torch.randn(2, 32, 2, 2)).sum().backward()
    assert all(value.grad is not None for value in encoder.used_parameters())
    assert encoder.head.weight.grad is None


def test_stride_is_configurable() -> None:
    config = replace(TINY, image_size=64, merge_strides=(2, 1, 1))
    assert (config.stride, config.grid) == (8, 8)
    with torch.no_grad():
        assert TinyViT(config).eval()(torch.randn(1, 3, 64, 64)).shape == (1, 32, 8, 8)


def test_other_image_size_is_refused() -> None:
    with pytest.raises(ValueError, match="128, 128"):
        TinyViT(TINY)(torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"merge_strides": (2, 2)}, "merge_strides must have"),
        ({"merge_strides": (2, 3, 1)}, "must be 1 or 2"),
        ({"image_size": 100}, "multiple of 16"),
        ({"num_heads": (2, 5, 4, 5)}, "multiples of num_heads"),
        ({"depths": (1, 1, 1)}, "one entry per stage"),
    ],
)
def test_numbers_that_do_not_fit_are_named(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TINY, **change)
