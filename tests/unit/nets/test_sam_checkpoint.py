"""Weight files of SAM's relatives: what fits loads, what does not is named."""

from __future__ import annotations

import pytest
import torch

from uscl_med3d.core.errors import InputError
from uscl_med3d.nets.sam import build_sam
from uscl_med3d.nets.sam.checkpoint import load_official, read_weights, save_weights

SMALL = {
    "image_size": 16,
    "patch_size": 4,
    "embed_dim": 16,
    "depth": 1,
    "num_heads": 2,
    "global_blocks": [0],
    "window_size": 2,
    "mlp_ratio": 2.0,
    "adapter_ratio": None,
    "prompt_dim": 16,
    "mask_channels": 4,
    "decoder_mlp_dim": 16,
    "decoder_heads": 2,
    "decoder_depth": 1,
    "iou_head_depth": 2,
    "iou_head_dim": 8,
    "num_multimask_outputs": 3,
}


def equal(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_file_of_ours_brings_its_architecture(tmp_path):
    network = build_sam(SMALL)
    save_weights(tmp_path / "sam.safetensors", "sam", SMALL, network)
    architecture, tensors = read_weights(tmp_path / "sam.safetensors", "sam")
    assert architecture == SMALL
    assert equal(tensors, dict(network.state_dict()))


def test_a_file_of_another_model_is_refused(tmp_path):
    save_weights(tmp_path / "sam.safetensors", "sam", SMALL, build_sam(SMALL))
    with pytest.raises(InputError, match="mobile_sam"):
        read_weights(tmp_path / "sam.safetensors", "mobile_sam")


def test_official_files_load_with_and_without_wrapper(tmp_path):
    network, other = build_sam(SMALL), build_sam(SMALL)
    torch.save(network.state_dict(), tmp_path / "plain.pth")
    torch.save({"model": network.state_dict(), "optimizer": {}}, tmp_path / "wrapped.pth")
    for name, wrapper in (("plain.pth", None), ("wrapped.pth", "model")):
        load_official(other, tmp_path / name, wrapper, "its page")
        assert equal(dict(other.state_dict()), dict(network.state_dict()))


def test_differing_tensors_are_named(tmp_path):
    state = dict(build_sam(SMALL).state_dict())
    state["image_encoder.pos_embed"] = torch.zeros(1, 2, 2, 16)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"image_encoder\.pos_embed"):
        load_official(build_sam(SMALL), tmp_path / "other.pth", None, "its page")


def test_a_file_that_could_run_code_is_refused(tmp_path):
    torch.save({"model": print}, tmp_path / "evil.pth")
    with pytest.raises(InputError):
        load_official(build_sam(SMALL), tmp_path / "evil.pth", "model", "its page")
