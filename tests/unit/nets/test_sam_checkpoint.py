"""Weight files of SAM's relatives: what fits loads, what does not is named."""

from __future__ import annotations

import pytest
import torch
from tiny_sam import SMALLEST

from uscl_med3d.core.errors import InputError
from uscl_med3d.nets.sam import build_sam
from uscl_med3d.nets.sam.checkpoint import load_official, read_weights, save_weights


def equal(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_file_of_ours_brings_its_architecture(tmp_path):
    network = build_sam(SMALLEST)
    save_weights(tmp_path / "sam.safetensors", "sam", SMALLEST, network)
    architecture, tensors = read_weights(tmp_path / "sam.safetensors", "sam")
    assert architecture == SMALLEST
    assert equal(tensors, dict(network.state_dict()))


def test_a_file_of_another_model_is_refused(tmp_path):
    save_weights(tmp_path / "sam.safetensors", "sam", SMALLEST, build_sam(SMALLEST))
    with pytest.raises(InputError, match="mobile_sam"):
        read_weights(tmp_path / "sam.safetensors", "mobile_sam")


def test_official_files_load_with_and_without_wrapper(tmp_path):
    network, other = build_sam(SMALLEST), build_sam(SMALLEST)
    torch.save(network.state_dict(), tmp_path / "plain.pth")
    torch.save({"model": network.state_dict(), "optimizer": {}}, tmp_path / "wrapped.pth")
    for name, wrapper in (("plain.pth", None), ("wrapped.pth", "model")):
        load_official(other, tmp_path / name, wrapper, "its page")
        assert equal(dict(other.state_dict()), dict(network.state_dict()))


def test_differing_tensors_are_named(tmp_path):
    state = dict(build_sam(SMALLEST).state_dict())
    state["image_encoder.pos_embed"] = torch.zeros(1, 2, 2, 16)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"image_encoder\.pos_embed"):
        load_official(build_sam(SMALLEST), tmp_path / "other.pth", None, "its page")


def test_a_file_that_could_run_code_is_refused(tmp_path):
    torch.save({"model": print}, tmp_path / "evil.pth")
    with pytest.raises(InputError):
        load_official(build_sam(SMALLEST), tmp_path / "evil.pth", "model", "its page")
