"""LoRA of SAM-Med3D: what it changes, what it leaves alone."""

from __future__ import annotations

import pytest
import torch

from uscl_med3d.core.errors import InputError
from uscl_med3d.nets import lora
from uscl_med3d.nets.sam_med3d import PRESETS, build_sam_med3d, lora_targets

SETTINGS = {"rank": 4, "alpha": 8.0, "dropout": 0.0, "seed": 5}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build_sam_med3d(PRESETS["smoke"]).eval()


@pytest.fixture
def volume():
    side = PRESETS["smoke"].image_size
    return torch.randn(2, 1, side, side, side, generator=torch.Generator().manual_seed(1))


def output(model, volume):
    points = torch.tensor([[[3.0, 4.0, 5.0]]] * 2), torch.ones(2, 1)
    with torch.no_grad():
        return model(volume, points=points)[0]


def disturb(model, modules="both"):
    """Give B values, as training would."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, value in lora.lora_parameters(model, modules).items():
            if "lora_B" in name:
                value.copy_(torch.randn(value.shape, generator=generator) * 0.2)


def test_alpha_rules():
    assert [lora.lora_alpha(rule, 16) for rule in ("equal_rank", "twice_rank", "fixed:24")] == [
        16.0,
        32.0,
        24.0,
    ]
    with pytest.raises(ValueError, match="twice"):
        lora.lora_alpha("twice", 16)


def test_a_new_adapter_changes_nothing(model, volume):
    before = output(model, volume)
    lora.add_lora(model, "both", **SETTINGS)
    assert torch.equal(output(model, volume), before)


def test_the_update_is_alpha_over_r_times_b_a(model):
    lora.add_lora(model, "decoder", **SETTINGS)
    disturb(model)
    name, layer = next(iter(lora.lora_layers(model).items()))
    a, b = (lora.lora_parameters(model)[f"{name}.lora_{part}.weight"] for part in "AB")
    x = torch.randn(3, a.shape[1])
    expected = layer.get_base_layer()(x) + 8.0 / 4 * x @ a.T @ b.T
    torch.testing.assert_close(layer(x), expected)


def test_start_depends_on_seed_and_layer_only(model):
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    lora.add_lora(model, "both", **SETTINGS)
    assert torch.equal(torch.random.get_rng_state(), state), "the global generator was used"
    both = lora.lora_state(model)
    other = build_sam_med3d(PRESETS["smoke"])
    lora.add_lora(other, "encoder", **SETTINGS)
    encoder = lora.lora_state(other)
    assert encoder and all(torch.equal(both[name], value) for name, value in encoder.items())
    third = build_sam_med3d(PRESETS["smoke"])
    lora.add_lora(third, "encoder", **{**SETTINGS, "seed": 6})
    assert any(not torch.equal(encoder[name], value) for name, value in lora.lora_state(third).items())


@pytest.mark.parametrize("modules", ["encoder", "decoder", "both"])
@pytest.mark.parametrize("layers", ["attention", "attention_and_mlp"])
def test_every_target_is_wrapped_and_only_adapters_train(model, modules, layers):
    targets = lora_targets(model, modules, layers)
    lora.add_lora(model, modules, **SETTINGS, layers=layers)
    assert list(sorted(lora.lora_layers(model))) == targets
    trained = lora.freeze_all_but_lora(model, modules)
    assert len(trained) == 2 * len(targets)
    names = {name for name, value in model.named_parameters() if value.requires_grad}
    assert len(names) == len(trained) and all("lora_" in name for name in names)


def test_encoder_adapter_stays_active_and_frozen_while_the_decoder_trains(model, volume):
    lora.add_lora(model, "encoder", **SETTINGS)
    disturb(model)
    with_encoder = output(model, volume)
    lora.add_lora(model, "decoder", **SETTINGS)
    assert torch.equal(output(model, volume), with_encoder), (
        "adding the second adapter switched off the first"
    )
    lora.freeze_all_but_lora(model, "decoder")
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    assert trained and all(name.startswith("mask_decoder.") for name in trained)


def test_a_part_cannot_be_wrapped_twice(model):
    lora.add_lora(model, "encoder", **SETTINGS)
    with pytest.raises(ValueError, match="already"):
        lora.add_lora(model, "both", **SETTINGS)


def test_off_restores_the_base_model_and_what_was_frozen(model, volume):
    before = output(model, volume)
    lora.add_lora(model, "both", **SETTINGS)
    disturb(model)
    lora.freeze_all_but_lora(model, "decoder")
    flags = {name: value.requires_grad for name, value in model.named_parameters()}
    adapted = output(model, volume)
    with lora.lora_off(model):
        assert torch.equal(output(model, volume), before)
    assert torch.equal(output(model, volume), adapted) and not torch.allclose(adapted, before)
    assert flags == {name: value.requires_grad for name, value in model.named_parameters()}


def test_merged_model_is_plain_and_computes_the_same(model, volume):
    names = set(model.state_dict())
    lora.add_lora(model, "both", **SETTINGS)
    disturb(model)
    adapted = output(model, volume)
    lora.merge_lora(model)
    assert set(model.state_dict()) == names
    torch.testing.assert_close(output(model, volume), adapted, rtol=1e-4, atol=1e-5)


def test_state_round_trip(model, tmp_path):
    lora.add_lora(model, "both", **SETTINGS)
    disturb(model)
    encoder = lora.lora_state(model, "encoder")
    assert all(name.startswith("image_encoder.") for name in encoder)
    path = tmp_path / "r4.safetensors"
    lora.save_lora(path, encoder, 4, 8.0, "abc")
    other = build_sam_med3d(PRESETS["smoke"])
    lora.add_lora(other, "both", **{**SETTINGS, "seed": 9})
    decoder = lora.lora_state(other, "decoder")
    lora.load_lora_state(other, lora.read_lora(path, 4, 8.0, "abc"), "encoder")
    assert all(
        torch.equal(lora.lora_state(other)[name], value) for name, value in (encoder | decoder).items()
    )
    with pytest.raises(ValueError, match="missing"):
        lora.load_lora_state(other, encoder, "both")


def test_equal_adapters_give_equal_bytes(tmp_path):
    for index in range(8):
        lora.save_lora(tmp_path / f"{index}", {"y": torch.ones(2), "x": torch.zeros(1)}, 4, 8.0, "abc")
    assert len({(tmp_path / f"{index}").read_bytes() for index in range(8)}) == 1


@pytest.mark.parametrize("change", [{"rank": 8}, {"alpha": 4.0}, {"base_sha256": "other"}])
def test_adapter_of_another_model_is_refused(tmp_path, change):
    path = tmp_path / "r4.safetensors"
    lora.save_lora(path, {"x": torch.zeros(1)}, 4, 8.0, "abc")
    with pytest.raises(InputError, match="pretrain"):
        lora.read_lora(path, **{"rank": 4, "alpha": 8.0, "base_sha256": "abc", **change})


def test_unreadable_adapter_is_named(tmp_path):
    path = tmp_path / "r4.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"r4\.safetensors"):
        lora.read_lora(path, 4, 8.0, "abc")


def test_a_start_of_other_layers_is_refused(model, tmp_path):
    """An adapter of attention alone is no start for one of attention and MLPs."""
    from uscl_med3d.core.params.methods import Run
    from uscl_med3d.tuning.lora import LoraOptions, LoraTuning

    lora.add_lora(model, "encoder", 4, 4.0, 0.0, 5)
    path = tmp_path / "vcl.safetensors"
    lora.save_lora(path, lora.lora_state(model, "encoder"), 4, 4.0, "0" * 64)
    other = build_sam_med3d(PRESETS["smoke"]).eval()
    options = LoraOptions(
        strategy="lora",
        learning_rate=0.001,
        alpha_rule="equal_rank",
        dropout=0.0,
        layers="attention_and_mlp",
        rank=4,
        modules="both",
    )
    of = {"rank": 4, "modules": "both", "pretraining": "vcl", "training_seed": 0, "datasets": ("us",)}
    run = Run(id="r", method="uscl_med3d", **of)
    with pytest.raises(InputError, match=r"vcl.safetensors(.|\n)*attention_and_mlp"):
        LoraTuning(other, options, run, 5).load_start(path, "0" * 64)
