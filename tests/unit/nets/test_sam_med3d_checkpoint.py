"""Loading and saving weights, and LoRA through peft."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from uscl_med3d.core.errors import InputError
from uscl_med3d.nets.sam_med3d import (
    PRESETS,
    SamMed3D,
    build_sam_med3d,
    export_state,
    load_checkpoint,
    lora_targets,
    save_checkpoint,
)

SMOKE = PRESETS["smoke"]


@pytest.fixture
def model(randomise: Callable[..., nn.Module]) -> SamMed3D:
    return randomise(build_sam_med3d(SMOKE))


def volume() -> Tensor:
    return torch.randn(1, 1, *[SMOKE.image_size] * 3, generator=torch.Generator().manual_seed(1))


def points() -> tuple[Tensor, Tensor]:
    return torch.tensor([[[3.0, 4, 5]]]), torch.tensor([[1]])


@torch.no_grad()
def predict(model: nn.Module) -> Tensor:
    return model(volume(), points())[0]


def largest_difference(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_saved_weights_come_back(model: SamMed3D, tmp_path: Path, name: str) -> None:
    save_checkpoint(model, tmp_path / name)
    fresh = build_sam_med3d(SMOKE).eval()
    load_checkpoint(fresh, tmp_path / name)
    assert torch.equal(predict(fresh), predict(model))


def test_torch_files_carry_the_official_wrapper(model: SamMed3D, tmp_path: Path) -> None:
    save_checkpoint(model, tmp_path / "weights.pth")
    content = torch.load(tmp_path / "weights.pth", weights_only=True)
    assert list(content) == ["model_state_dict"]
    assert list(content["model_state_dict"]) == list(build_sam_med3d(SMOKE).state_dict())


def test_files_without_wrapper_load_too(model: SamMed3D, tmp_path: Path) -> None:
    torch.save(model.state_dict(), tmp_path / "plain.pth")
    load_checkpoint(build_sam_med3d(SMOKE), tmp_path / "plain.pth")


def test_another_variant_names_the_tensors_that_differ(model: SamMed3D, tmp_path: Path) -> None:
    save_checkpoint(model, tmp_path / "small.pth")
    other = build_sam_med3d(replace(SMOKE, depth=1, global_blocks=(), iou_head_dim=16))
    with pytest.raises(InputError) as caught:
        load_checkpoint(other, tmp_path / "small.pth")
    assert "image_encoder.blocks.1.attn.proj.bias: unknown" in str(caught.value)
    state = model.state_dict()
    del state["mask_decoder.iou_token.weight"]
    state["image_encoder.pos_embed"] = torch.zeros(1, 2, 2, 2, 48)
    torch.save(state, tmp_path / "broken.pth")
    with pytest.raises(InputError) as caught:
        load_checkpoint(build_sam_med3d(SMOKE), tmp_path / "broken.pth")
    assert "mask_decoder.iou_token.weight: missing" in str(caught.value)
    assert "image_encoder.pos_embed: (1, 2, 2, 2, 48), expected (1, 3, 3, 3, 48)" in str(caught.value)


@pytest.mark.parametrize(("saved", "wanted"), [("upstream", "decomposed"), ("decomposed", "upstream")])
def test_weights_of_the_other_relative_position_are_refused(tmp_path: Path, saved: str, wanted: str) -> None:
    save_checkpoint(build_sam_med3d(replace(SMOKE, relative_position=saved)), tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=f"relative_position='{saved}'"):
        load_checkpoint(build_sam_med3d(replace(SMOKE, relative_position=wanted)), tmp_path / "w.safetensors")
    load_checkpoint(build_sam_med3d(replace(SMOKE, relative_position=saved)), tmp_path / "w.safetensors")


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    torch.save({"model_state_dict": {"x": Path("/")}}, tmp_path / "unsafe.pth")
    with pytest.raises(InputError, match="more than tensors"):
        load_checkpoint(build_sam_med3d(SMOKE), tmp_path / "unsafe.pth")


@pytest.mark.parametrize("name", ["broken.pth", "broken.safetensors", "absent.pth"])
def test_unreadable_files_are_refused(tmp_path: Path, name: str) -> None:
    if "broken" in name:
        (tmp_path / name).write_bytes(b"not weights")
    with pytest.raises(InputError, match=name):
        load_checkpoint(build_sam_med3d(SMOKE), tmp_path / name)


def test_a_failed_load_changes_nothing(model: SamMed3D, tmp_path: Path) -> None:
    torch.save({"x": torch.zeros(1)}, tmp_path / "other.pth")
    before = predict(model)
    with pytest.raises(InputError):
        load_checkpoint(model, tmp_path / "other.pth")
    assert torch.equal(predict(model), before)


def test_adapted_layers() -> None:
    model = build_sam_med3d(SMOKE)
    encoder, decoder, both = (lora_targets(model, modules) for modules in ("encoder", "decoder", "both"))
    assert encoder == [
        f"image_encoder.blocks.{block}.attn.{layer}" for block in (0, 1) for layer in ("proj", "qkv")
    ]
    assert len(decoder) == 4 * (2 * 3 + 1)
    assert sum("final_attn_token_to_image" in name for name in decoder) == 4
    assert both == sorted(encoder + decoder)
    more = set(lora_targets(model, "both", "attention_and_mlp")) - set(both)
    assert more == {
        f"{place}.{number}.mlp.lin{layer}"
        for place in ("image_encoder.blocks", "mask_decoder.transformer.layers")
        for number in (0, 1)
        for layer in (1, 2)
    }
    with pytest.raises(ValueError, match="encoder, decoder or both"):
        lora_targets(model, "neck")


@pytest.mark.parametrize("modules", ["encoder", "decoder", "both"])
def test_lora_is_exact(model: SamMed3D, tmp_path: Path, modules: str) -> None:
    """Fresh or switched-off adapters are the base model bit for bit; merged equals unmerged; exports load."""
    peft = pytest.importorskip("peft")
    before, targets = predict(model), lora_targets(model, modules)
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=4, lora_alpha=8, target_modules=targets)).eval()
    assert torch.equal(predict(adapted), before)

    generator = torch.Generator().manual_seed(2)
    adapters = [(name, p) for name, p in adapted.named_parameters() if "lora_" in name]
    assert len(adapters) == 2 * len(targets)
    with torch.no_grad():
        for _, parameter in adapters:
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    changed = predict(adapted)
    assert largest_difference(changed, before) > 1e-2
    with adapted.disable_adapter():
        assert torch.equal(predict(adapted), before)

    save_checkpoint(adapted, tmp_path / "merged.pth")
    official = build_sam_med3d(SMOKE).eval()
    load_checkpoint(official, tmp_path / "merged.pth")
    assert largest_difference(predict(official), changed) < 1e-5
    assert torch.equal(predict(adapted), changed), "exporting must not change the model"

    adapted.merge_adapter()
    assert largest_difference(predict(adapted), changed) < 1e-5
    assert all(
        torch.allclose(a, b, atol=1e-6)
        for a, b in zip(export_state(adapted).values(), official.state_dict().values(), strict=True)
    )


def test_lora_trains_adapters_only(model: SamMed3D) -> None:
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=lora_targets(model, "both"))
    adapted = peft.get_peft_model(model, config)
    masks, _ = adapted(volume(), points())
    model.upsample(masks).square().mean().backward()
    with_gradient = {name for name, p in adapted.named_parameters() if p.grad is not None}
    assert with_gradient and all("lora_" in name for name in with_gradient)


def test_padding_key_stays_the_frozen_bias_under_lora(model: SamMed3D) -> None:
    peft = pytest.importorskip("peft")
    attention = model.image_encoder.blocks[0].attn
    before = attention.padding_qkv(torch.float32).clone()
    config = peft.LoraConfig(
        r=4, lora_alpha=8, target_modules=lora_targets(model, "encoder"), init_lora_weights=False
    )
    peft.get_peft_model(model, config)
    assert type(attention.qkv) is not nn.Linear
    assert torch.equal(attention.padding_qkv(torch.float32), before)
